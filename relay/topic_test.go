package relay

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestValidTopic(t *testing.T) {
	for topic, want := range map[string]bool{
		"pend00-data": true, "a": true, "A_b-9%": true, "lab/rig/data": true, strings.Repeat("x", 255): true,
		"": false, "/": false, "/a": false, "a/": false, "a//b": false, "a.b": false, "..": false, "a b": false,
		"a\x00": false, "é": false, "a?b": false, "a\n": false, strings.Repeat("x", 256): false,
	} {
		if got := ValidTopic(topic); got != want {
			t.Errorf("ValidTopic(%q) = %v", topic, got)
		}
	}
}

// A topic that is taken is one of practable's, and finds itself again in the
// address that is handed out for it.
func FuzzParseTopic(f *testing.F) {
	for _, path := range []string{"/session/pend00-data", "/session/a/b", "/session/a%2Fb", "/session/%2525", "/session/a%25", "/session//", "/session/../x", "/bids/deny", "/session/a?code=x", "/session/%00"} {
		f.Add(path)
	}
	practable := regexp.MustCompile(`^[\w%\-/]+$`)
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		topic, err := ParseTopic(u)
		if err != nil {
			return
		}
		if !practable.MatchString(topic) {
			t.Fatalf("%q gives topic %q", path, topic)
		}
		back, err := url.Parse("wss://relay.example" + topicPath(topic) + "?code=x")
		if err != nil {
			t.Fatalf("%q: %v", topic, err)
		}
		if again, err := ParseTopic(back); err != nil || again != topic {
			t.Fatalf("%q comes back as %q, %v", topic, again, err)
		}
	})
}

func TestDefaultPolicy(t *testing.T) {
	for topic, want := range map[string]Overflow{
		"pend00-video": DropOldest, "lab/pend00-video": DropOldest, "video": DropOldest, "pend00-audio": DropOldest,
		"pend00-data": Close, "video/pend00-data": Close, "pend00-videocontrol": Close, "pend00": Close,
	} {
		if got := DefaultPolicy(topic); got != want {
			t.Errorf("DefaultPolicy(%q) = %v", topic, got)
		}
	}
}
