package jetstream

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// listen passes on what other nodes write: the server tells of each record once it
// is stored. One's own writes hint as they are acknowledged. What gets lost on the
// way, who polls the heads repairs.
func (l *Log) listen(ctx context.Context) error {
	_, err := l.conn.Subscribe(l.hintRoot()+"*", func(m *nats.Msg) {
		if m.Header.Get(nodeHeader) == l.node {
			return
		}
		if name, ok := topicOf(strings.TrimPrefix(m.Subject, l.hintRoot())); ok {
			l.calls.Publish(name)
			l.mu.Lock()
			t := l.topics[name]
			l.mu.Unlock()
			if t != nil {
				t.mu.Lock()
				t.others = time.Now()
				t.mu.Unlock()
			}
		}
	})
	if err != nil {
		return err
	}
	ctx, done := l.request(ctx)
	defer done()
	return l.conn.FlushWithContext(ctx)
}
