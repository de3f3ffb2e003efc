package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/messaging"
)

// write is one writer: it appends what waits until the log closes.
func (l *Log) write() {
	for {
		calls := l.queue.take()
		if calls == nil {
			return
		}
		l.commit(calls)
		l.queue.done(calls)
	}
}

// commit appends what calls ask for in one transaction, and settles them.
func (l *Log) commit(calls []*logCall) {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	defer context.AfterFunc(l.calls.Life(), func() { stop(messaging.ErrClosed) })()
	var b *logBatch
	err := l.db.retry(ctx, func(ctx context.Context) error {
		b = newLogBatch(calls)
		return b.run(ctx, l.db)
	})
	if err != nil {
		err = outcome(ctx, err)
		for _, c := range calls {
			c.settle(nil, err)
		}
		return
	}
	for _, name := range b.names {
		if t := b.topics[name]; t.seq > t.before {
			l.changed(name)
		}
	}
	for i, c := range calls {
		c.settle(b.answers[i].added, b.answers[i].err)
	}
}

// A logBatch is one try to append what some calls ask for.
type logBatch struct {
	calls   []*logCall
	names   []messaging.Topic // each once, in the order in which all nodes lock
	topics  map[messaging.Topic]*logBatchTopic
	answers []logAnswer

	// The entries to insert, column by column.
	epochs, seqs, tags []int64
	ids, bodies        [][]byte
}

type logBatchTopic struct {
	logTopic
	before int64 // seq as it was found
	known  map[string]messaging.Pos
}

type logAnswer struct {
	added []messaging.Appended
	err   error
}

func newLogBatch(calls []*logCall) *logBatch {
	b := &logBatch{calls: calls, topics: map[messaging.Topic]*logBatchTopic{}, answers: make([]logAnswer, len(calls))}
	for _, c := range calls {
		if b.topics[c.topic] == nil {
			b.topics[c.topic] = &logBatchTopic{known: map[string]messaging.Pos{}}
		}
	}
	b.names = slices.Sorted(maps.Keys(b.topics))
	return b
}

// run takes two round trips, and two more when a topic is new: one that locks
// the heads and looks for the IDs, one that inserts and commits.
func (b *logBatch) run(ctx context.Context, db *DB) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// One that is in a transaction still is closed, not kept.
	defer conn.Release()
	missing, err := b.lock(ctx, conn.Conn(), true)
	if err == nil && missing {
		if err = b.create(ctx, conn.Conn()); err == nil {
			missing, err = b.lock(ctx, conn.Conn(), false)
		}
		if err == nil && missing {
			err = errors.New("postgres: a topic that was made is not there")
		}
	}
	if err != nil {
		return err
	}
	for i, c := range b.calls {
		b.answers[i].added, b.answers[i].err = b.append(c)
	}
	return b.finish(ctx, conn.Conn())
}

// lock locks and reads the heads, then looks for the messages' IDs: by a
// statement of its own, which sees what was committed before the lock was ours.
// It reports whether a topic has no row.
func (b *logBatch) lock(ctx context.Context, conn *pgx.Conn, begin bool) (missing bool, err error) {
	names := make([][]byte, len(b.names))
	for i, name := range b.names {
		names[i] = []byte(name)
	}
	var topics, ids [][]byte
	for _, c := range b.calls {
		for _, m := range c.msgs {
			topics, ids = append(topics, []byte(c.topic)), append(ids, []byte(m.ID))
		}
	}
	var batch pgx.Batch
	if begin {
		batch.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`)
	}
	seen := 0
	batch.Queue(`SELECT topic, epoch, seq, tag, floor_seq, floor_tag FROM log_topics
		WHERE topic = ANY($1::bytea[]) ORDER BY topic FOR NO KEY UPDATE`, names).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var name []byte
			var t logTopic
			if err := rows.Scan(&name, &t.epoch, &t.seq, &t.tag, &t.floorSeq, &t.floorTag); err != nil {
				return err
			}
			at := b.topics[messaging.Topic(name)]
			at.logTopic, at.before = t, t.seq
			seen++
		}
		return rows.Err()
	})
	// Epoch and ID are compared by the one expression that has an index, so that
	// no plan, however early it was made, looks through a topic.
	batch.Queue(`SELECT u.topic, u.id, t.epoch, e.seq, e.tag
		FROM unnest($1::bytea[], $2::bytea[]) AS u(topic, id)
		JOIN log_topics AS t ON t.topic = u.topic
		CROSS JOIN LATERAL (SELECT seq, tag FROM log_entries
			WHERE sha256(int8send(epoch) || id) = sha256(int8send(t.epoch) || u.id) OFFSET 0) AS e
		WHERE e.seq > t.floor_seq`, topics, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var name, id []byte
			var epoch, seq, tag int64
			if err := rows.Scan(&name, &id, &epoch, &seq, &tag); err != nil {
				return err
			}
			b.topics[messaging.Topic(name)].known[string(id)] = logPos(epoch, seq, tag)
		}
		return rows.Err()
	})
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return false, err
	}
	return seen < len(b.names), nil
}

// create gives the topics an epoch that have none. Another node may be faster.
func (b *logBatch) create(ctx context.Context, conn *pgx.Conn) error {
	var names [][]byte
	var epochs []int64
	for _, name := range b.names {
		if b.topics[name].epoch == 0 {
			names, epochs = append(names, []byte(name)), append(epochs, newEpoch())
		}
	}
	_, err := conn.Exec(ctx, `INSERT INTO log_topics (topic, epoch, seq, tag, floor_seq, floor_tag)
		SELECT topic, epoch, 0, 0, 0, 0 FROM unnest($1::bytea[], $2::bigint[]) AS u(topic, epoch) ORDER BY topic
		ON CONFLICT (topic) DO NOTHING`, names, epochs)
	return err
}

// append decides about one call, behind those before it.
func (b *logBatch) append(c *logCall) ([]messaging.Appended, error) {
	t := b.topics[c.topic]
	if c.ifHead != nil {
		known := 0
		for _, m := range c.msgs {
			if _, there := t.known[m.ID]; there {
				known++
			}
		}
		if known < len(c.msgs) && (known > 0 || *c.ifHead != t.head()) {
			return nil, messaging.ErrConflict
		}
	}
	added := make([]messaging.Appended, len(c.msgs))
	for i, m := range c.msgs {
		if at, there := t.known[m.ID]; there {
			added[i] = messaging.Appended{Pos: at, Duplicate: true}
			continue
		}
		t.seq, t.tag = t.seq+1, tagInt(m.Tag)
		added[i].Pos = t.head()
		t.known[m.ID] = added[i].Pos
		b.epochs, b.seqs, b.tags = append(b.epochs, t.epoch), append(b.seqs, t.seq), append(b.tags, t.tag)
		b.ids, b.bodies = append(b.ids, []byte(m.ID)), append(b.bodies, m.Body)
	}
	return added, nil
}

// finish inserts the entries, moves the heads and commits; where there is nothing
// to insert it undoes what create may have made.
func (b *logBatch) finish(ctx context.Context, conn *pgx.Conn) error {
	if len(b.seqs) == 0 {
		_, err := conn.Exec(ctx, `ROLLBACK`)
		return err
	}
	var names [][]byte
	var seqs, tags []int64
	for _, name := range b.names {
		if t := b.topics[name]; t.seq > t.before {
			names, seqs, tags = append(names, []byte(name)), append(seqs, t.seq), append(tags, t.tag)
		}
	}
	var batch pgx.Batch
	batch.Queue(`INSERT INTO log_entries (epoch, seq, tag, id, body)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])`, b.epochs, b.seqs, b.tags, b.ids, b.bodies)
	batch.Queue(`UPDATE log_topics AS t SET seq = u.seq, tag = u.tag
		FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS u(topic, seq, tag) WHERE t.topic = u.topic`, names, seqs, tags)
	batch.Queue(`COMMIT`)
	return committed(conn.SendBatch(ctx, &batch).Close())
}
