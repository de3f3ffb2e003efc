package postgres

import (
	"context"
	"math"

	"github.com/lodge-gateway/lodge/messaging"
)

// A page ends early at either limit, so that one call cannot take all memory.
const (
	maxPage      = 10000   // entries
	maxPageBytes = 8 << 20 // of bodies, but always one entry
)

// One statement sees one state of the database: the topic's row, the entry at
// the position asked for, and the entries of the page belong together. Sizes are
// known without reading the bodies.
const (
	selectPage = `SELECT t.epoch, t.seq, t.tag, t.floor_seq, t.floor_tag,
		(SELECT a.tag FROM log_entries AS a WHERE a.epoch = t.epoch AND a.seq = $2),
		e.seq, e.tag, e.id, e.body
	FROM log_topics AS t LEFT JOIN LATERAL (
		SELECT p.seq, p.tag, p.id, p.body FROM (
			SELECT c.*, sum(octet_length(c.body)) OVER (ORDER BY c.seq`
	selectForward = selectPage + `) - octet_length(c.body) AS before FROM (
				SELECT * FROM log_entries WHERE epoch = t.epoch AND ($3::bigint = 0 OR t.epoch = $3) AND seq > $4
				ORDER BY seq LIMIT $5) AS c) AS p
		WHERE p.before < $6) AS e ON true
	WHERE t.topic = $1 ORDER BY e.seq`
	selectBack = selectPage + ` DESC) - octet_length(c.body) AS before FROM (
				SELECT * FROM log_entries WHERE epoch = t.epoch AND ($3::bigint = 0 OR t.epoch = $3) AND seq < $4 AND seq > t.floor_seq
				ORDER BY seq DESC LIMIT $5) AS c) AS p
		WHERE p.before < $6) AS e ON true
	WHERE t.topic = $1 ORDER BY e.seq DESC`
)

// Read implements messaging.Log.
func (l *Log) Read(ctx context.Context, name messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	return l.page(ctx, name, logRead{query: selectForward, at: after, from: int64(after.Seq), limit: limit,
		more: func(t *logTopic, last int64) bool { return last < t.seq }})
}

// ReadBack implements messaging.Log.
func (l *Log) ReadBack(ctx context.Context, name messaging.Topic, before messaging.Pos, limit int) (messaging.Page, error) {
	r := logRead{query: selectBack, at: before, from: int64(before.Seq), limit: limit,
		more: func(t *logTopic, last int64) bool { return last > t.floorSeq+1 }}
	if before.IsZero() {
		r.from, r.anywhere = math.MaxInt64, true
	}
	return l.page(ctx, name, r)
}

// A logRead says what is read of a topic.
type logRead struct {
	query    string
	at       messaging.Pos // must be in the topic
	anywhere bool          // unless this is set
	from     int64         // the sequence number beside the first entry's
	limit    int
	more     func(t *logTopic, last int64) bool // are there more beyond this one?
}

func (l *Log) page(ctx context.Context, name messaging.Topic, r logRead) (messaging.Page, error) {
	var page messaging.Page
	err := l.view(ctx, func(ctx context.Context) error {
		page = messaging.Page{}
		rows, err := l.db.pool.Query(ctx, r.query, []byte(name), int64(r.at.Seq), int64(r.at.Epoch), r.from,
			max(0, min(r.limit, maxPage)), maxPageBytes)
		if err != nil {
			return err
		}
		defer rows.Close()
		var t logTopic
		var at *int64 // the tag of the entry that has the position's number
		last := r.from
		for rows.Next() {
			var seq, tag *int64 // nil in the only row of an empty page
			var e messaging.Entry
			var id []byte
			if err := rows.Scan(&t.epoch, &t.seq, &t.tag, &t.floorSeq, &t.floorTag, &at, &seq, &tag, &id, &e.Body); err != nil {
				return err
			}
			if seq == nil {
				continue
			}
			last = *seq
			e.Pos, e.ID = logPos(t.epoch, *seq, *tag), string(id)
			page.Entries = append(page.Entries, e)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if !r.anywhere {
			if err := t.find(r.at, at); err != nil {
				return err
			}
		}
		page.Floor, page.Head = t.floor(), t.head()
		page.More = r.more(&t, min(last, t.seq+1))
		return nil
	})
	if err != nil {
		return messaging.Page{}, err
	}
	return page, nil
}
