package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/messaging"
)

func appendAll(t *testing.T, log *Log, name messaging.Topic, msgs ...messaging.Msg) []messaging.Appended {
	t.Helper()
	added, err := log.Append(t.Context(), name, msgs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func TestPagesAreBounded(t *testing.T) {
	log := openLog(t, fresh(t))
	for i := range 12 {
		appendAll(t, log, "large", messaging.Msg{ID: fmt.Sprint(i), Body: make([]byte, messaging.MaxBody)})
	}
	small := make([]messaging.Msg, maxPage+1)
	for i := range small {
		small[i].ID = fmt.Sprint(i)
	}
	appendAll(t, log, "small", small...)
	for name, want := range map[messaging.Topic]int{"large": maxPageBytes / messaging.MaxBody, "small": maxPage} {
		for what, read := range map[string]func(context.Context, messaging.Topic, messaging.Pos, int) (messaging.Page, error){
			"forward": log.Read, "back": log.ReadBack,
		} {
			page, err := read(t.Context(), name, messaging.Pos{}, 1<<30)
			if err != nil || len(page.Entries) != want || !page.More {
				t.Errorf("%s, %s: %d entries, more %v, %v; want %d and more", name, what, len(page.Entries), page.More, err, want)
			}
		}
	}
}

// A node that dies between discarding and sweeping leaves entries that nobody
// sees, and the next sweep, of any node and topic, deletes.
func TestWhatWasNotSweptIsOutOfSight(t *testing.T) {
	url := fresh(t)
	log := openLog(t, url)
	var msgs []messaging.Msg
	for i := range 6 {
		msgs = append(msgs, messaging.Msg{ID: fmt.Sprint(i)})
	}
	at := appendAll(t, log, "a", msgs...)
	floor := at[3].Pos
	err := log.db.Update(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE log_topics SET floor_seq = $1`, int64(floor.Seq)); err != nil {
			return err
		}
		return discardEntries(ctx, tx, int64(floor.Epoch), int64(floor.Seq))
	})
	if err != nil {
		t.Fatal(err)
	}
	entries := func() (n int) {
		t.Helper()
		if err := log.db.pool.QueryRow(t.Context(), `SELECT count(*) FROM log_entries`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	page, err := log.ReadBack(t.Context(), "a", messaging.Pos{}, 10)
	if err != nil || len(page.Entries) != 2 || page.More {
		t.Fatalf("back to the floor: %d entries, more %v, %v", len(page.Entries), page.More, err)
	}
	if _, err := log.Read(t.Context(), "a", at[1].Pos, 10); err == nil {
		t.Fatal("what was discarded can be read on from")
	}
	again := appendAll(t, log, "a", msgs[1], msgs[5])
	if again[0].Duplicate || again[0].Pos.Seq != 7 || !again[1].Duplicate || again[1].Pos != at[5].Pos {
		t.Fatalf("a discarded ID and a kept one: %+v", again)
	}
	if n := entries(); n != 7 {
		t.Fatalf("%d entries are stored; the test expects the discarded among them", n)
	}
	other := openLog(t, url)
	if err := other.Drop(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if n := entries(); n != 3 {
		t.Fatalf("after a sweep %d entries are stored, want 3", n)
	}
	if found := appendAll(t, log, "a", msgs[1])[0]; !found.Duplicate || found.Pos != again[0].Pos {
		t.Fatalf("the ID's second life: %+v", found)
	}
}

func TestLongIDsAndNames(t *testing.T) {
	log := openLog(t, fresh(t))
	id := strings.Repeat("x", 100_000)
	name := messaging.Topic(strings.Repeat("n", 2000))
	first := appendAll(t, log, name, messaging.Msg{ID: id + "1"}, messaging.Msg{ID: id + "2"})
	again := appendAll(t, log, name, messaging.Msg{ID: id + "2"})
	if first[1].Pos.Seq != 2 || !again[0].Duplicate || again[0].Pos != first[1].Pos {
		t.Fatalf("%+v, then %+v", first, again)
	}
}

func TestNotificationsHoldEveryTopicOnce(t *testing.T) {
	n, other := newNotifier(), newNotifier()
	want := map[messaging.Topic]bool{}
	for i := range 1000 {
		name := messaging.Topic(fmt.Sprintf("\x00topic, %d", i))
		n.changed[name] = struct{}{}
		want[name] = true
	}
	n.changed[messaging.Topic(strings.Repeat("x", maxPayload))] = struct{}{} // left to the poll
	payloads := n.payloads()
	for _, p := range payloads {
		if len(p) > maxPayload {
			t.Errorf("a payload of %d bytes", len(p))
		}
		if own := n.hinted(p); own != nil {
			t.Errorf("a node takes hints from itself: %q", own)
		}
		for _, name := range other.hinted(p) {
			if !want[name] {
				t.Errorf("%q is hinted twice, or never changed", name)
			}
			delete(want, name)
		}
	}
	if len(want) > 0 || len(payloads) > 10 {
		t.Errorf("%d topics are in none of %d payloads", len(want), len(payloads))
	}
	if n.payloads() != nil {
		t.Error("there is something left to tell")
	}
	for _, bad := range []string{"", ",", "x,!!!", n.node} {
		if names := other.hinted(bad); slices.ContainsFunc(names, func(n messaging.Topic) bool { return n != "" }) {
			t.Errorf("%q hints %q", bad, names)
		}
	}
}

// listener returns the server process that serves a log's listening connection,
// and when it was asked something last.
func listener(t *testing.T, db *DB) (pid int, asked time.Time, err error) {
	t.Helper()
	err = db.pool.QueryRow(t.Context(), `SELECT pid, query_start FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'lodge listener'`).Scan(&pid, &asked)
	return pid, asked, err
}

func TestSilentListenerIsAskedAndReplaced(t *testing.T) {
	config, err := pgx.ParseConfig(fresh(t))
	if err != nil {
		t.Fatal(err)
	}
	watcher := open(t, config.ConnString())
	proxy := faultproxy.Start(t, postgrestest.Shared(t).Addr())
	db := open(t, postgrestest.URL(proxy.Addr(), config.Database))
	db.timeout = 500 * time.Millisecond
	log := newLog(db, 20*time.Millisecond)
	t.Cleanup(func() { _ = log.Close() })

	// It is asked again and again, and stays the same as long as it answers.
	var first int
	seen := map[time.Time]bool{}
	eventually(t, func() error {
		pid, asked, err := listener(t, watcher)
		if err != nil {
			return err
		}
		if first != 0 && pid != first {
			t.Fatal("a listener that answers was replaced")
		}
		first, seen[asked] = pid, true
		if len(seen) < 4 {
			return errors.New("it is not asked whether it stands")
		}
		return nil
	})
	// One that does not answer any more is replaced.
	proxy.Mute("-- ping")
	eventually(t, func() error {
		pid, _, err := listener(t, watcher)
		if err == nil && pid == first {
			err = errors.New("the listener is still the one that does not answer")
		}
		return err
	})
	proxy.Pass()

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	heard := make(chan struct{})
	wg.Go(func() {
		for range log.Changes(ctx) {
			close(heard)
			return
		}
	})
	other := openLog(t, config.ConnString())
	n := 0
	eventually(t, func() error {
		n++
		appendAll(t, other, "a", messaging.Msg{ID: fmt.Sprint(n)})
		select {
		case <-heard:
			return nil
		default:
			return errors.New("no hint arrives")
		}
	})
}
