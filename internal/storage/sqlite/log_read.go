package sqlite

import (
	"context"

	"github.com/lodge-gateway/lodge/messaging"
)

// maxPageBytes ends a page early, so that one call cannot take all memory.
const maxPageBytes = 8 << 20

// Read implements messaging.Log.
func (l *Log) Read(ctx context.Context, name messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	return l.page(ctx, name, func(tx *Tx, t *logTopic, page *messaging.Page) error {
		seq, err := t.find(tx, after)
		if err != nil {
			return err
		}
		seq, err = t.entries(tx, page, limit, seq,
			`SELECT seq, tag, id, body FROM log_entries WHERE epoch = ? AND seq > ? ORDER BY seq LIMIT ?+0`)
		page.More = seq < t.seq
		return err
	})
}

// ReadBack implements messaging.Log.
func (l *Log) ReadBack(ctx context.Context, name messaging.Topic, before messaging.Pos, limit int) (messaging.Page, error) {
	return l.page(ctx, name, func(tx *Tx, t *logTopic, page *messaging.Page) error {
		seq := t.seq + 1
		if !before.IsZero() {
			var err error
			if seq, err = t.find(tx, before); err != nil {
				return err
			}
		}
		// The floor's own entry may wait to be swept.
		left := max(seq-1-t.floorSeq, 0)
		seq, err := t.entries(tx, page, int(min(int64(limit), left)), seq,
			`SELECT seq, tag, id, body FROM log_entries WHERE epoch = ? AND seq < ? ORDER BY seq DESC LIMIT ?+0`)
		page.More = seq > t.floorSeq+1
		return err
	})
}

func (l *Log) page(ctx context.Context, name messaging.Topic, fill func(*Tx, *logTopic, *messaging.Page) error) (messaging.Page, error) {
	var page messaging.Page
	err := l.view(ctx, func(tx *Tx) error {
		t, err := loadLogTopic(tx, name)
		if err != nil {
			return err
		}
		page = messaging.Page{Floor: t.floor(), Head: t.head()}
		return fill(tx, &t, &page)
	})
	if err != nil {
		return messaging.Page{}, err
	}
	return page, nil
}

// entries adds up to limit entries to page and returns the sequence number of
// the last, or from when there is none.
func (t *logTopic) entries(tx *Tx, page *messaging.Page, limit int, from int64, query string) (int64, error) {
	if limit <= 0 {
		return from, nil
	}
	rows, err := tx.Query(query, t.epoch, from, limit)
	if err != nil {
		return from, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	size := 0
	for size < maxPageBytes && rows.Next() {
		var tag int64
		var e messaging.Entry
		var id []byte
		if err := rows.Scan(&from, &tag, &id, &e.Body); err != nil {
			return from, err
		}
		e.Pos, e.ID = logPos(t.epoch, from, tag), string(id)
		page.Entries = append(page.Entries, e)
		size += len(e.Body)
	}
	return from, rows.Err()
}
