package memory

import (
	"slices"

	"github.com/lodge-gateway/lodge/messaging"
)

// Put stores an entry as somebody could who holds the memory.
func (l *Log) Put(name messaging.Topic, e messaging.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	topic := l.topics[name]
	at := slices.IndexFunc(topic.entries, func(old messaging.Entry) bool { return old.Pos.Seq == e.Pos.Seq })
	if at < 0 {
		topic.entries, topic.last = append(topic.entries, e), e.Pos.Seq
	} else {
		topic.entries[at] = e
	}
	topic.ids[e.ID] = e.Pos.Seq
}

// Remove takes an entry away, and leaves the numbers of the others.
func (l *Log) Remove(name messaging.Topic, at messaging.Pos) {
	l.mu.Lock()
	defer l.mu.Unlock()
	topic := l.topics[name]
	i := slices.IndexFunc(topic.entries, func(e messaging.Entry) bool { return e.Pos.Seq == at.Seq })
	topic.entries = slices.Delete(topic.entries, i, i+1)
}
