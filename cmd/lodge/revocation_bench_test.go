package main

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
)

// BenchmarkRevocation measures, in a running demo, the time from the answer to a
// cancellation to the close frame of the stream it ends, and how long the
// cancelling call itself takes. Run it with -benchtime 200x.
func BenchmarkRevocation(b *testing.B) {
	d := startDemo(b, b.TempDir())
	ada := signedIn(b, d.url, "ada")
	var answered, closed []time.Duration
	for b.Loop() {
		booked := call[gateway.BookingView](ada, http.StatusCreated, "POST", "/api/v1/bookings",
			gateway.BookRequest{Group: "physics-1", Slot: "pend00-physics-1", Seconds: 300})
		activity := call[gateway.Activity](ada, http.StatusOK, "POST", "/api/v1/bookings/"+booked.ID+"/activity", nil)
		conn, err := stream(b, activity.Streams[0])
		if err != nil {
			b.Fatal(err)
		}
		ended := make(chan time.Time, 1)
		go func() {
			for {
				if _, _, err := conn.Read(context.Background()); err != nil {
					if websocket.CloseStatus(err) == 4403 {
						ended <- time.Now()
					}
					close(ended)
					return
				}
			}
		}()
		asked := time.Now()
		call[gateway.BookingView](ada, http.StatusOK, "DELETE", "/api/v1/bookings/"+booked.ID, nil)
		done := time.Now()
		at, ok := <-ended
		if !ok {
			b.Fatal("the stream ended without saying that it was cancelled")
		}
		answered = append(answered, done.Sub(asked))
		closed = append(closed, max(at.Sub(done), 0))
	}
	for name, times := range map[string][]time.Duration{"answer": answered, "closed": closed} {
		slices.Sort(times)
		for percentile, label := range map[int]string{50: "p50", 99: "p99"} {
			b.ReportMetric(float64(times[(len(times)-1)*percentile/100].Microseconds())/1000, "ms-"+name+"-"+label)
		}
	}
}
