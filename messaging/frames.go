package messaging

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of what a client may send.
const (
	maxFrame        = 64 << 10 // bytes of one client frame
	maxFrameID      = 128      // bytes of the id of an answer or mark frame
	maxTopicName    = 512      // bytes of a topic's name
	maxNamedTopics  = 512      // topics in one narrow frame or resume list
	maxResumeString = 64 << 10 // bytes of a resume list
)

// The types of client frames.
const (
	frameAck    = "ack"    // everything up to a position has arrived
	frameRead   = "read"   // everything up to a position was read
	frameNarrow = "narrow" // deliver these topics only
	frameAnswer = "answer" // answers a survey; replied to
	frameMark   = "mark"   // confirms one's presence; replied to
)

// A clientFrame is what a client sends over the websocket.
type clientFrame struct {
	Type   string          `json:"type"`
	Topic  string          `json:"topic"`  // ack, read
	Pos    string          `json:"pos"`    // ack, read
	Topics []string        `json:"topics"` // narrow
	ID     string          `json:"id"`     // answer, mark: comes back with the reply
	Data   json.RawMessage `json:"data"`   // answer, mark

	pos Pos
}

var errFrameSyntax = errors.New("the frame is not a JSON object")

// parseClientFrame reads and checks one frame. Its errors are safe to show; one
// that is not even JSON is errFrameSyntax.
func parseClientFrame(b []byte) (clientFrame, error) {
	var f clientFrame
	if !utf8.Valid(b) || json.Unmarshal(b, &f) != nil {
		return clientFrame{}, errFrameSyntax
	}
	switch f.Type {
	case frameAck, frameRead:
		pos, err := ParsePos(f.Pos)
		if err != nil || pos.IsZero() {
			return clientFrame{}, errors.New("pos must be a position that was delivered")
		}
		if f.Topic == "" || len(f.Topic) > maxTopicName {
			return clientFrame{}, errors.New("topic must name the topic of the position")
		}
		f.pos = pos
	case frameNarrow:
		if f.Topics == nil || len(f.Topics) > maxNamedTopics {
			return clientFrame{}, fmt.Errorf("topics must be a list of at most %d names", maxNamedTopics)
		}
	case frameAnswer, frameMark:
		if f.ID == "" || len(f.ID) > maxFrameID {
			return clientFrame{}, fmt.Errorf("id must have 1 to %d bytes", maxFrameID)
		}
		if len(f.Data) == 0 {
			return clientFrame{}, errors.New("data is missing")
		}
	default:
		return clientFrame{}, errors.New("type must be ack, read, narrow, answer or mark")
	}
	return f, nil
}

// formatCursors writes topics with their positions as a client sends them back:
// topic~position, topics URL-escaped and in order, joined by commas. A topic
// with no position yet ends in "~": everything after its beginning.
func formatCursors(cursors map[string]Pos) string {
	names := make([]string, 0, len(cursors))
	for name := range cursors {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(url.QueryEscape(name))
		b.WriteByte('~')
		b.WriteString(cursors[name].String())
	}
	return b.String()
}

// parseCursors reads what formatCursors wrote, also split over several strings;
// the last mention of a topic counts.
func parseCursors(lists ...string) (map[string]Pos, error) {
	cursors := make(map[string]Pos)
	for _, list := range lists {
		if len(list) > maxResumeString {
			return nil, errors.New("messaging: the resume list is too long")
		}
		for part := range strings.SplitSeq(list, ",") {
			if part == "" {
				continue
			}
			// A position holds no "~", an unescaped topic name may.
			at := strings.LastIndexByte(part, '~')
			if at <= 0 {
				return nil, errors.New("messaging: resume must be topic~position")
			}
			name, err := url.QueryUnescape(part[:at])
			if err != nil || name == "" || len(name) > maxTopicName {
				return nil, errors.New("messaging: resume names no topic")
			}
			pos, err := ParsePos(part[at+1:])
			if err != nil {
				return nil, err
			}
			cursors[name] = pos
			if len(cursors) > maxNamedTopics {
				return nil, errors.New("messaging: the resume list is too long")
			}
		}
	}
	return cursors, nil
}
