package postgres

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A line carries the statements of one transaction to the server and spares them
// round trips: a write whose outcome is known beforehand waits and goes with the
// next statement whose answer is needed, and what was read ahead is not asked for
// again until something is written.
//
// When a write that waited came out otherwise, what was decided after it was
// decided wrongly. The line is broken then and tells everybody so; its owner undoes
// what went over it and tries again on a strict one, where nothing waits and every
// error is told where it belongs.
type line struct {
	ctx     context.Context
	tx      pgx.Tx
	strict  bool
	waiting []statement
	unsure  bool         // something waits that may come out otherwise
	sent    int          // how often something was sent
	broken  error        // of a statement that waited, or was read ahead
	ahead   []answer     // nothing was written since
	noting  *[]statement // what is read now is only noted, to be read ahead
}

// A statement is sent when the next answer is needed.
type statement struct {
	text string
	args []any
	want int64 // how many rows it changes; anyRows: it does not matter
}

const anyRows = -1

// maxWaiting is how many statements wait at the most.
const maxWaiting = 256

// An answer is what was read ahead.
type answer struct {
	statement
	fields []pgconn.FieldDescription
	rows   [][][]byte
}

var (
	errOtherwise = errors.New("postgres: a statement changed other rows than expected")
	errNoted     = errors.New("postgres: noted, to be read ahead")
)

// later has a statement wait that is expected to change so many rows, and returns
// that number; on a strict line, how many it did change.
func (l *line) later(want int64, text string, args ...any) (int64, error) {
	if l.strict {
		return l.exec(text, args...)
	}
	l.waiting, l.ahead, l.unsure = append(l.waiting, statement{text, args, want}), nil, true
	if len(l.waiting) < maxWaiting {
		return want, l.broken
	}
	return want, l.flush()
}

// then has a statement wait that does nothing but divide the transaction.
func (l *line) then(text string) error {
	if l.strict {
		_, err := l.exec(text)
		return err
	}
	l.waiting = append(l.waiting, statement{text: text, want: anyRows})
	return nil
}

// A mark is a place in what goes over a line, right behind a savepoint.
type mark struct{ sent, waiting int }

func (l *line) mark() mark { return mark{l.sent, len(l.waiting)} }

// back undoes what went over the line since a mark, and mends it.
func (l *line) back(to mark) error {
	l.broken, l.ahead, l.unsure = nil, nil, false
	if l.sent == to.sent {
		l.waiting = l.waiting[:to.waiting]
		return nil
	}
	l.waiting = nil
	// Alone: a server that waits for a rollback prepares nothing else.
	_, err := l.tx.Exec(l.ctx, `ROLLBACK TO SAVEPOINT one`)
	return err
}

// exec runs a statement and returns how many rows it changed.
func (l *line) exec(text string, args ...any) (n int64, err error) {
	l.ahead = nil
	sent := l.send(func(results pgx.BatchResults) {
		var done pgconn.CommandTag
		done, err = results.Exec()
		n = done.RowsAffected()
	}, statement{text: text, args: args})
	if sent != nil {
		return 0, sent
	}
	return n, err
}

// get scans the only row of a query; none is pgx.ErrNoRows.
func (l *line) get(query string, args []any, dest ...any) error {
	none := true
	err := l.each(func(scan scanner) error {
		if !none {
			return nil
		}
		none = false
		return scan(dest...)
	}, query, args...)
	if err == nil && none {
		err = pgx.ErrNoRows
	}
	return err
}

// each calls fn for every row of a query. fn may keep what it scans.
func (l *line) each(fn func(scan scanner) error, query string, args ...any) (err error) {
	if l.noting != nil {
		*l.noting = append(*l.noting, statement{text: query, args: args})
		return errNoted
	}
	for _, a := range l.ahead {
		if a.text == query && reflect.DeepEqual(a.args, args) {
			return a.each(l.tx, fn)
		}
	}
	l.ahead = nil // a query may write too
	sent := l.send(func(results pgx.BatchResults) {
		var rows pgx.Rows
		if rows, err = results.Query(); err != nil {
			return
		}
		for err == nil && rows.Next() {
			err = fn(rows.Scan)
		}
		rows.Close()
		if err == nil {
			err = rows.Err()
		}
	}, statement{text: query, args: args})
	if sent != nil {
		return sent
	}
	return err
}

func (a answer) each(tx pgx.Tx, fn func(scan scanner) error) error {
	for _, row := range a.rows {
		err := fn(func(dest ...any) error { return pgx.ScanRow(tx.Conn().TypeMap(), a.fields, row, dest...) })
		if err != nil {
			return err
		}
	}
	return nil
}

// read sends the queries that fn makes in one round trip, so that the same ones
// need none.
func (l *line) read(fn func(tx *line)) error {
	if l.strict {
		return nil
	}
	var noted []statement
	fn(&line{ctx: l.ctx, tx: l.tx, noting: &noted, broken: errNoted})
	var ahead []answer
	sent := l.send(func(results pgx.BatchResults) {
		for _, s := range noted {
			a := answer{statement: s}
			rows, err := results.Query()
			if err == nil {
				a.fields = slices.Clone(rows.FieldDescriptions())
				for rows.Next() {
					a.rows = append(a.rows, cloned(rows.RawValues()))
				}
				rows.Close()
				err = rows.Err()
			}
			if err != nil {
				l.broken = errors.Join(l.broken, err)
				return
			}
			ahead = append(ahead, a)
		}
	}, noted...)
	l.ahead = ahead
	return errors.Join(sent, l.broken)
}

func cloned(row [][]byte) [][]byte {
	out := make([][]byte, len(row))
	for i, value := range row {
		out[i] = slices.Clone(value) // nil, SQL's NULL, stays nil
	}
	return out
}

// flush sends what waits when it may come out otherwise.
func (l *line) flush() error {
	if !l.unsure {
		return l.broken
	}
	return l.send(func(pgx.BatchResults) {})
}

// send sends what waits and some statements in one round trip, and has answered
// read the answers of the latter. It returns why the line is broken, if it is.
func (l *line) send(answered func(pgx.BatchResults), statements ...statement) error {
	if l.broken != nil {
		return l.broken
	}
	var batch pgx.Batch
	waited := l.waiting
	l.waiting, l.unsure = nil, false
	l.sent++
	for _, list := range [][]statement{waited, statements} {
		for _, s := range list {
			batch.Queue(s.text, s.args...)
		}
	}
	results := l.tx.SendBatch(l.ctx, &batch)
	defer func() { _ = results.Close() }() // what is wrong with a statement its answer has said
	for _, s := range waited {
		done, err := results.Exec()
		if err == nil && s.want != anyRows && done.RowsAffected() != s.want {
			err = fmt.Errorf("%w: %d instead of %d", errOtherwise, done.RowsAffected(), s.want)
		}
		if err != nil {
			l.broken = err
			return err
		}
	}
	answered(results)
	return nil
}
