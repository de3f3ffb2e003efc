package booknode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	clients  = 64
	crowd    = 8   // clients that want the same experiment at a time
	most     = 960 // operations on one experiment: porcupine's histories stay short
	patience = 2 * time.Minute
)

// A load is clients that book, extend, cancel and read until so many operations
// are done. Each crowd works on an experiment until it has had enough, then goes
// on to the next one of its own.
type load struct {
	fleet *fleet
	http  *http.Client
	want  int64
	begun time.Time

	done    atomic.Int64 // operations whose outcome is certain
	asked   atomic.Int64 // attempts, of which an operation may need several
	mu      sync.Mutex
	history []porcupine.Operation // guarded by mu
	booked  int                   // guarded by mu
	clashes int                   // guarded by mu
}

// experiments is how many the load goes through.
func experiments(want int64) int { return clients/crowd + int(want)/(most-2*crowd) + clients/crowd }

// holding is a booking that a client made.
type holding struct {
	key, id string
	version uint64
}

// run is what all clients do; it returns the first error.
func (l *load) run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make(chan error, clients)
	l.begun = time.Now()
	for g := range clients / crowd {
		p := &place{at: g}
		for c := range crowd {
			wg.Go(func() {
				if err := l.client(ctx, g*crowd+c, p); err != nil {
					errs <- err
				}
			})
		}
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// A place is where a crowd is.
type place struct {
	mu   sync.Mutex
	at   int // the experiment
	used int // operations on it
}

// next returns the experiment of a crowd's next operation.
func (p *place) next() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used++; p.used > most-crowd {
		p.at, p.used = p.at+clients/crowd, 1
	}
	return p.at
}

func (l *load) client(ctx context.Context, id int, p *place) error {
	held := map[int][]holding{}
	for n := 0; l.done.Load() < l.want; n++ {
		x := p.next()
		in := input{Experiment: experimentName(x)}
		c := call{Experiment: in.Experiment}
		mine := held[x]
		pick := 0
		if len(mine) > 0 {
			pick = rand.IntN(len(mine))
		}
		switch chance := rand.IntN(10); {
		case chance == 0:
			in.Op = "read"
		case chance <= 2 && len(mine) > 0:
			in.Op, in.Key, in.By = "extend", mine[pick].key, time.Duration(1+rand.IntN(3))*5*time.Minute
			c.ID, c.Version, c.By = mine[pick].id, mine[pick].version, in.By
		case chance <= 5 && len(mine) > 0:
			in.Op, in.Key, c.ID = "cancel", mine[pick].key, mine[pick].id
		default:
			in.Op, in.Key = "book", fmt.Sprint("c", id, "-", n)
			in.Start = time.Duration(rand.IntN(24)) * 10 * time.Minute
			in.End = in.Start + time.Duration(1+rand.IntN(6))*5*time.Minute
			c.Start, c.End = in.Start, in.End
		}
		c.Op, c.Key = in.Op, in.Key
		got, err := l.certain(ctx, id, in, c)
		if err != nil {
			return err
		}
		switch {
		case in.Op == "book" && got.Result == "ok":
			held[x] = append(mine, holding{in.Key, got.ID, got.Version})
		case in.Op == "extend" && got.Result == "ok":
			mine[pick].version++
		case in.Op == "cancel":
			held[x] = append(mine[:pick:pick], mine[pick+1:]...)
		}
	}
	return nil
}

// certain asks until the outcome is certain, and notes the operation: it happened,
// if at all, between the first attempt and the last answer.
func (l *load) certain(ctx context.Context, id int, in input, c call) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Since(l.begun)
	for try := 0; ; try++ {
		l.asked.Add(1)
		got, err := l.ask(ctx, c)
		if err != nil {
			if !pause(ctx, time.Duration(5+rand.IntN(20))*time.Millisecond) {
				return reply{}, errors.Join(fmt.Errorf("%+v has no outcome", c), err)
			}
			continue
		}
		if got.Result == "stale" {
			if try == 0 {
				return reply{}, fmt.Errorf("%+v: somebody else changed it", c)
			}
			got.Result = "ok" // nobody else changes it: an attempt before did
		}
		l.note(porcupine.Operation{
			ClientId: id, Input: in, Call: began.Nanoseconds(), Output: output{got.Result, got.Diary}, Return: time.Since(l.begun).Nanoseconds(),
		})
		return got, nil
	}
}

func (l *load) note(op porcupine.Operation) {
	l.done.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history = append(l.history, op)
	if op.Input.(input).Op == "book" {
		if op.Output.(output).Result == "ok" {
			l.booked++
		} else {
			l.clashes++
		}
	}
}

// ask makes one attempt at whichever node.
func (l *load) ask(ctx context.Context, c call) (reply, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return reply{}, err
	}
	at := l.fleet.at[rand.IntN(len(l.fleet.at))]
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	res, err := l.http.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	var got reply
	if res.StatusCode != http.StatusOK {
		var complaint bytes.Buffer
		_, _ = complaint.ReadFrom(res.Body)
		return reply{}, fmt.Errorf("%s: %s", res.Status, complaint.String())
	}
	return got, json.NewDecoder(res.Body).Decode(&got)
}
