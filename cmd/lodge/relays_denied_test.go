package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// deniedElsewhere denies a booking at the gateway's process and finds it denied at
// that of a relay: the connection that is open there, an address that was handed
// out, a code that is shown again. Allowing it undoes that.
func deniedElsewhere(t *testing.T, one *siteNode, dial func(topic, code string) (*websocket.Conn, string)) {
	base := one.site.base()
	ada := signedInAt(one, "ada")
	booking := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend02-everyone", Seconds: 300})
	stream := call[gateway.Activity](ada, 200, "POST", "/api/v1/bookings/"+booking.ID+"/activity", nil).Streams[0]
	topic := stream.URL[strings.LastIndex(stream.URL, "/")+1:]
	var boss gateway.CodeView
	if err := ask(t.Context(), one.data, "/codes", gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:admin"}}, &boss); err != nil {
		t.Fatal(err)
	}
	change := func(list string) {
		t.Helper()
		query := url.Values{"bid": {booking.ID}, "exp": {strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)}}
		if status, _, _ := exchange(t, base+"/bids/"+list+"?"+query.Encode(), boss.Code); status != http.StatusNoContent { // it has no body
			t.Fatalf("%s: %d", list, status)
		}
	}
	viewer, at := dial(topic, stream.Token)
	if at == one.address {
		t.Fatal("the gateway carries the stream itself")
	}
	status, unopened, err := exchange(t, stream.URL, stream.Token)
	if err != nil || status != http.StatusOK {
		t.Fatalf("another address: %d %v", status, err)
	}
	change("deny")
	if frame := wstest.Closed(t, viewer, 20*time.Second); frame.Code != 4403 {
		t.Errorf("closed with %v", frame)
	}
	if _, status := wstest.TryDial(t, http.DefaultClient, unopened, nil); status != http.StatusForbidden {
		t.Errorf("an address from before: %d", status)
	}
	for _, where := range []string{base, "http://" + at} {
		if status, _, err := exchange(t, where+"/session/"+topic, stream.Token); err != nil || status != http.StatusForbidden {
			t.Errorf("the code at %s: %d %v", where, status, err)
		}
	}
	change("allow")
	viewer, _ = dial(topic, stream.Token)
	_ = viewer.CloseNow() // that it was let in is all
}
