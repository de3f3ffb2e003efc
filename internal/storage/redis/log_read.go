package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge/messaging"
)

// logPageBytes ends a page early, so that one call cannot take all memory, nor
// keep others waiting long for the server.
const logPageBytes = 8 << 20

// Read implements messaging.Log.
func (l *Log) Read(ctx context.Context, name messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	return l.page(ctx, name, after, limit, "0")
}

// ReadBack implements messaging.Log.
func (l *Log) ReadBack(ctx context.Context, name messaging.Topic, before messaging.Pos, limit int) (messaging.Page, error) {
	return l.page(ctx, name, before, limit, "1")
}

func (l *Log) page(ctx context.Context, name messaging.Topic, at messaging.Pos, limit int, back string) (messaging.Page, error) {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return messaging.Page{}, err
	}
	defer done()
	answer, err := l.read(ctx, logRead, logKeys(name, logMeta, logEntries), logPosBytes(at), max(limit, 0), logPageBytes, back)
	if err != nil {
		return messaging.Page{}, err
	}
	return pageOf(answer)
}

// pageOf reads what logRead answers. Whoever may write to Redis may have put
// anything there: what cannot be an entry of ours gets a place all the same, and
// is refused above by its seal.
func pageOf(answer []any) (messaging.Page, error) {
	const before, each = 3, 4
	if len(answer) < before || (len(answer)-before)%each != 0 {
		return messaging.Page{}, fmt.Errorf("%w: redis: the answer to a read is none", messaging.ErrUnavailable)
	}
	meta, _ := answer[1].(string)
	page, err := logBounds(meta)
	if err != nil {
		return messaging.Page{}, err
	}
	more, _ := answer[2].(int64)
	page.More = more == 1
	list := answer[before:]
	page.Entries = make([]messaging.Entry, 0, len(list)/each)
	for ; len(list) > 0; list = list[each:] {
		var field [each]string
		for i := range field {
			field[i], _ = list[i].(string)
		}
		number, _, _ := strings.Cut(field[0], "-")
		seq, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return messaging.Page{}, fmt.Errorf("%w: redis: an entry has no number", messaging.ErrUnavailable)
		}
		e := messaging.Entry{Pos: messaging.Pos{Epoch: page.Head.Epoch, Seq: seq}, ID: field[1], Body: []byte(field[3])}
		copy(e.Pos.Tag[:], field[2])
		page.Entries = append(page.Entries, e)
	}
	return page, nil
}
