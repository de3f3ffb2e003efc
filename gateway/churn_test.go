package gateway_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/soaktest"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// churners come and go at once.
const churners = 16

// People come and go at both doors: some close as one should, some are lost, some
// are put out with their session. What they leave is nothing: no goroutine, no
// descriptor, no entry of a table.
func TestRel21_ComingAndGoingLeavesNothing(t *testing.T) {
	total := soaktest.Rounds(240, 3_000, 100_000)
	for name, onRedis := range map[string]bool{"Embedded": false, "Redis": true} {
		t.Run(name, func(t *testing.T) {
			w := newRaceTrack(t, onRedis)
			var came atomic.Int64
			churn := func(first, people int) {
				var all sync.WaitGroup
				for n := range churners {
					all.Go(func() {
						for i := first + n; i < first+people; i += churners {
							came.Add(w.comeAndGo(i))
						}
					})
				}
				all.Wait()
			}
			nothing := func() bool {
				for _, n := range w.nodes {
					for _, held := range n.gateway.Held() {
						if held != 0 {
							return false
						}
					}
				}
				w.client.CloseIdleConnections()
				return true
			}
			churn(0, churners) // pools and the like are filled now
			wstest.Eventually(t, "the first have gone", nothing)
			goroutines, descriptors := runtime.NumGoroutine(), openFiles(t)
			for first := 1000; came.Load() < int64(total/2) && !t.Failed(); first += churners {
				churn(first, churners)
			}
			wstest.Eventually(t, "all have gone", nothing)
			// A few more are those of connections to the stores, which come and go.
			const slack = 24
			wstest.Eventually(t, "no goroutine and no descriptor stays", func() bool {
				w.client.CloseIdleConnections()
				return runtime.NumGoroutine() <= goroutines+slack && openFiles(t) <= descriptors+slack
			})
			soaktest.Report(t, "%d connections came and went; goroutines %d before and %d after, descriptors %d and %d, %v",
				came.Load(), goroutines, runtime.NumGoroutine(), descriptors, openFiles(t), held(w))
		})
	}
}

// held is what the gateways hold together.
func held(w *raceTrack) map[string]int {
	all := map[string]int{}
	for _, n := range w.nodes {
		for what, held := range n.gateway.Held() {
			all[what] += held
		}
	}
	return all
}

// comeAndGo has one person open a stream and a message socket, and leave in the
// way that is theirs. It returns how many connections there were.
func (w *raceTrack) comeAndGo(i int) int64 {
	ctx, cancel := context.WithTimeout(w.Context(), 8*raceLimit) // eight connections, however busy the machine is
	defer cancel()
	door := w.nodes[i%len(w.nodes)]
	person := lodge.PersonID(fmt.Sprint("churner-", i))
	login, _ := w.login(person)
	launch, _ := w.launch(person)
	var conns []*websocket.Conn
	for range 4 {
		stream, streamStatus := w.stream(ctx, w.address(door, launch))
		messages, messagesStatus := w.messages(ctx, door, login)
		if stream == nil || messages == nil {
			w.Errorf("stream %d, message socket %d", streamStatus, messagesStatus)
			return 0
		}
		conns = append(conns, stream, messages)
	}
	if i%3 == 2 {
		w.signOut(door, login)
	}
	for _, conn := range conns {
		switch i % 3 {
		case 0:
			_ = conn.CloseNow() // as a lost connection
		case 1:
			_ = conn.Close(websocket.StatusNormalClosure, "") // whether its frame arrives is not the question
		default:
			for {
				if _, _, err := conn.Read(ctx); err != nil {
					if ctx.Err() != nil {
						w.Errorf("open %v after it was signed out", raceLimit)
					}
					break
				}
			}
		}
	}
	return int64(len(conns))
}

// openFiles counts this process's descriptors.
func openFiles(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
