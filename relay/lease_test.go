package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// closedAfter reads until the close frame and returns it with how long it took
// to come, on the bubble's clock.
func closedAfter(t *testing.T, conn *websocket.Conn) (websocket.CloseError, time.Duration) {
	t.Helper()
	begun := time.Now()
	frame := wstest.Closed(t, conn, 48*time.Hour)
	return frame, time.Since(begun)
}

// readable checks that a close frame's reason is one for people.
func readable(t *testing.T, frame websocket.CloseError) {
	t.Helper()
	if len(frame.Reason) < 10 || len(frame.Reason) > 123 {
		t.Errorf("reason %q", frame.Reason)
	}
}

// Practable dropped TCP without a close frame.
func TestExpiryClosesInTimeWithAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		r.access.allow("ada", "t", true, true, time.Now().Add(5*time.Minute))
		frame, took := closedAfter(t, r.connect(t, "t", "ada"))
		if frame.Code != StatusExpired || took != 5*time.Minute {
			t.Errorf("%v after %v", frame, took)
		}
		readable(t, frame)
	})
}

func TestExtensionKeepsTheSocket(t *testing.T) {
	for _, mute := range []bool{false, true} {
		t.Run(fmt.Sprintf("hint lost %v", mute), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := onPipes(t, Options{})
				r.access.mute = mute
				end := time.Now().Add(5 * time.Minute)
				r.access.allow("ada", "t", true, true, end)
				conn := r.connect(t, "t", "ada")
				// As late as can be: the poll may not come any more.
				time.AfterFunc(5*time.Minute-time.Millisecond, func() {
					r.access.change("ada", func() { r.access.ends["ada"] = end.Add(10 * time.Minute) })
				})
				frame, took := closedAfter(t, conn)
				if frame.Code != StatusExpired || took != 15*time.Minute {
					t.Errorf("%v after %v", frame, took)
				}
			})
		})
	}
}

func TestShorteningEndsItEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		begun := time.Now()
		r.access.allow("ada", "t", true, true, begun.Add(5*time.Minute))
		conn := r.connect(t, "t", "ada")
		time.AfterFunc(time.Minute, func() {
			r.access.change("ada", func() { r.access.ends["ada"] = begun.Add(2 * time.Minute) })
		})
		if frame, took := closedAfter(t, conn); frame.Code != StatusExpired || took != 2*time.Minute {
			t.Errorf("%v after %v", frame, took)
		}
	})
}

func TestSec06_RevocationClosesAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		answer error
		code   websocket.StatusCode
	}{
		"cancelled": {&Refusal{StatusRevoked, "The booking was cancelled by the laboratory: a lamp has to be changed."}, StatusRevoked},
		"off-line":  {&Refusal{StatusOffline, "The experiment was taken off-line for repair."}, StatusOffline},
		"expired":   {&Refusal{StatusExpired, "The booking has ended, thank you."}, StatusExpired},
		"collected": {lodge.E(lodge.CodeUnauthenticated, "This code is not known."), StatusExpired},
		"forbidden": {lodge.E(lodge.CodeForbidden, "This code gives no right here."), StatusRevoked},
		"long":      {&Refusal{StatusRevoked, strings.Repeat("Die Buchung wurde gelöscht. ", 20)}, StatusRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := onPipes(t, Options{})
				r.access.allow("ada", "t", true, true, time.Time{})
				conn := r.connect(t, "t", "ada")
				time.AfterFunc(time.Minute, func() { r.access.change("ada", func() { r.access.answers["ada"] = tc.answer }) })
				frame, took := closedAfter(t, conn)
				if frame.Code != tc.code || took != time.Minute {
					t.Errorf("%v after %v", frame, took)
				}
				readable(t, frame)
			})
		})
	}
}

// With the signal lost, the poll finds out.
func TestSec06_RevocationWithoutHintClosesWithinThePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		r.access.mute = true
		r.access.allow("ada", "t", true, true, time.Time{})
		conn := r.connect(t, "t", "ada")
		time.AfterFunc(time.Minute, func() { r.access.refuse("ada", StatusRevoked, "The booking was cancelled.") })
		frame, took := closedAfter(t, conn)
		if frame.Code != StatusRevoked || took < time.Minute || took > time.Minute+5*time.Second {
			t.Errorf("%v after %v", frame, took)
		}
	})
}

// Once it is revoked, nothing goes through a connection any more, even when its
// client does not take part in closing it.
func TestSec06_NothingPassesAfterRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		host := r.member(t, "t", "host", "rw")
		r.access.allow("ada", "t", true, true, time.Time{})
		stubborn := r.connect(t, "t", "ada") // sends, and never reads
		wstest.Write(t, stubborn, websocket.MessageText, "before")
		if _, body := wstest.Read(t, host); body != "before" {
			t.Fatalf("host got %q", body)
		}
		r.access.refuse("ada", StatusRevoked, "The booking was cancelled.")
		synctest.Wait()
		var writer sync.WaitGroup
		writer.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for stubborn.Write(context.Background(), websocket.MessageText, []byte("after")) == nil {
				<-tick.C
			}
		})
		writer.Wait() // the relay cuts it off
		late := r.member(t, "t", "late", "w")
		wstest.Write(t, late, websocket.MessageText, "late")
		if _, body := wstest.Read(t, host); body != "late" {
			t.Errorf("host got %q", body)
		}
	})
}

func TestLeaseOutlivesAShortOutageAndNotALongOne(t *testing.T) {
	down := lodge.Wrap(lodge.CodeUnavailable, "The session store is down.", errors.New("connection refused"))
	t.Run("short", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := onPipes(t, Options{})
			r.access.allow("ada", "t", true, true, time.Now().Add(5*time.Minute))
			conn := r.connect(t, "t", "ada")
			time.AfterFunc(time.Minute, func() { r.access.change("ada", func() { r.access.down = down }) })
			time.AfterFunc(time.Minute+8*time.Second, func() { r.access.change("ada", func() { r.access.down = nil }) })
			if frame, took := closedAfter(t, conn); frame.Code != StatusExpired || took != 5*time.Minute {
				t.Errorf("%v after %v", frame, took)
			}
		})
	})
	for name, fail := range map[string]func(*fakeAccess){
		"long": func(a *fakeAccess) { a.down = down },
		"hung": func(a *fakeAccess) { a.block = make(chan struct{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := onPipes(t, Options{})
				r.access.allow("ada", "t", true, true, time.Now().Add(5*time.Minute))
				conn := r.connect(t, "t", "ada")
				time.AfterFunc(time.Minute, func() { r.access.change("", func() { fail(r.access) }) })
				frame, took := closedAfter(t, conn)
				if frame.Code != StatusLeaseLost || took < time.Minute+10*time.Second || took > time.Minute+15*time.Second+100*time.Millisecond {
					t.Errorf("%v after %v", frame, took)
				}
				readable(t, frame)
			})
		})
		t.Run(name+", end reached meanwhile", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := onPipes(t, Options{})
				r.access.allow("ada", "t", true, true, time.Now().Add(time.Minute+4*time.Second))
				conn := r.connect(t, "t", "ada")
				time.AfterFunc(time.Minute, func() { r.access.change("", func() { fail(r.access) }) })
				frame, took := closedAfter(t, conn)
				if frame.Code != StatusExpired || took > time.Minute+5*time.Second {
					t.Errorf("%v after %v", frame, took)
				}
			})
		})
	}
}

// An end that is reached on the injected clock counts at the next poll.
func TestClockMovedForward(t *testing.T) {
	clock := &movedClock{now: time.Now()}
	r := start(t, clock, Options{LeasePoll: 20 * time.Millisecond})
	r.access.allow("ada", "t", true, true, clock.Now().Add(time.Hour))
	conn := r.connect(t, "t", "ada")
	clock.move(time.Hour)
	if frame := wstest.Closed(t, conn, 10*time.Second); frame.Code != StatusExpired {
		t.Errorf("%v", frame)
	}
}

// Whichever comes first, no connection survives a revocation that its opening
// raced with. Hints only: the poll would hide what falls in between.
func TestSec06_NobodySurvivesConnectVersusRevoke(t *testing.T) {
	r := onNetwork(t, Options{LeasePoll: time.Hour, LeaseGrace: 2 * time.Hour})
	for i := range 300 {
		code := fmt.Sprint("c", i)
		r.access.allow(code, "t", true, true, time.Time{})
		uri := r.uri(t, "t", code)
		var both sync.WaitGroup
		both.Go(func() { r.access.refuse(code, StatusRevoked, "The booking was cancelled.") })
		both.Go(func() {
			if conn, _ := wstest.TryDial(t, r.client, uri, nil); conn != nil {
				if frame := wstest.Closed(t, conn, 10*time.Second); frame.Code != StatusRevoked {
					t.Errorf("%v", frame)
				}
			}
		})
		both.Wait()
	}
	wstest.Eventually(t, "all gone", func() bool { return r.Stats().Peers == 0 && r.access.watching() == 0 })
}

// Practable's process died of: deny a connected booking, allow it, reconnect.
func TestDenyAllowReconnect(t *testing.T) {
	r := onNetwork(t, Options{})
	host := r.member(t, "t", "host", "rw")
	r.access.allow("ada", "t", true, true, time.Time{})
	for range 3 {
		conn := r.connect(t, "t", "ada")
		wstest.Write(t, conn, websocket.MessageText, "here")
		if _, body := wstest.Read(t, host); body != "here" {
			t.Fatalf("host got %q", body)
		}
		r.access.refuse("ada", StatusRevoked, "The booking was cancelled.")
		if frame := wstest.Closed(t, conn, 10*time.Second); frame.Code != StatusRevoked {
			t.Errorf("%v", frame)
		}
		if status, _ := r.post(t, "t", "ada"); status != 403 {
			t.Errorf("status %d while denied", status)
		}
		r.access.change("ada", func() { delete(r.access.answers, "ada") })
	}
}

func TestReasonsFitACloseFrame(t *testing.T) {
	for _, reason := range []string{"", "short", strings.Repeat("x", 123), strings.Repeat("x", 124), strings.Repeat("é", 100), strings.Repeat("x", 119) + "éé", "a\xffb" + strings.Repeat("世", 60)} {
		got := fit(reason)
		if len(got) > 123 {
			t.Errorf("%d bytes of %d", len(got), len(reason))
		}
		if strings.ToValidUTF8(got, "") != got {
			t.Errorf("not UTF-8: %q", got)
		}
		if len(reason) <= 123 && strings.ToValidUTF8(reason, "") == reason && got != reason {
			t.Errorf("changed %q to %q", reason, got)
		}
	}
}
