package relay

import (
	"net/url"
	"strings"

	"github.com/lodge-gateway/lodge"
)

const (
	sessionPath = "/session/"
	maxTopic    = 255 // bytes
)

// ParseTopic returns the relay topic that a URL's path names. It works on the
// decoded path, so that one topic has one name however it was spelt on the way.
func ParseTopic(u *url.URL) (string, error) {
	topic, found := strings.CutPrefix(u.Path, sessionPath)
	if !found || !ValidTopic(topic) {
		return "", lodge.E(lodge.CodeInvalid, "The address names no relay topic: after /session/ come letters, digits, '_', '-', '%' and single '/', 255 at most.")
	}
	return topic, nil
}

// ValidTopic reports whether topic is a name that a relay topic can have: words
// of [A-Za-z0-9_%-] with single slashes between them, at most 255 bytes.
func ValidTopic(topic string) bool {
	if topic == "" || len(topic) > maxTopic {
		return false
	}
	word := false // whether the present word has begun
	for i := range len(topic) {
		switch c := topic[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '%':
			word = true
		case c == '/' && word:
			word = false
		default:
			return false
		}
	}
	return word
}

// topicPath returns the path of a topic as it stands in an address.
func topicPath(topic string) string {
	return sessionPath + strings.ReplaceAll(topic, "%", "%25")
}
