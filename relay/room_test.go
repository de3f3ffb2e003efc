package relay

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// Practable joined queued messages into one frame, up to 25 of them.
func TestCompatFaultMessagesStayApart(t *testing.T) {
	r := onNetwork(t, Options{})
	host := r.member(t, "pend00-data", "host", "rw")
	first := r.member(t, "pend00-data", "ada", "r")
	second := r.member(t, "pend00-data", "grace", "r")

	type sent struct {
		kind websocket.MessageType
		body string
	}
	var all []sent
	for i := range 400 {
		m := sent{websocket.MessageText, fmt.Sprintf(`{"n":%d}`, i)}
		switch i % 8 {
		case 1:
			m = sent{websocket.MessageBinary, fmt.Sprintf("\x00\xff%d", i)}
		case 3:
			m = sent{websocket.MessageText, ""}
		case 5:
			m = sent{websocket.MessageBinary, ""}
		case 6:
			m = sent{websocket.MessageBinary, strings.Repeat("x", i*97)} // up to 38 kB: either side of a batch
		}
		all = append(all, m)
	}
	var readers sync.WaitGroup
	for _, conn := range []*websocket.Conn{first, second} {
		readers.Go(func() {
			for i, want := range all {
				kind, body := wstest.Read(t, conn)
				if kind != want.kind || body != want.body {
					t.Errorf("message %d: got %v of %d bytes, want %v of %d", i, kind, len(body), want.kind, len(want.body))
					return
				}
			}
		})
	}
	for _, m := range all {
		wstest.Write(t, host, m.kind, m.body)
	}
	readers.Wait()
}

// A message that comes in fragments leaves as the one message it is.
func TestFragmentsMakeOneMessage(t *testing.T) {
	r := onNetwork(t, Options{})
	host, ada := r.member(t, "a", "host", "rw"), r.member(t, "a", "ada", "r")
	w, err := host.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"one ", "two ", "three"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if kind, body := wstest.Read(t, ada); kind != websocket.MessageText || body != "one two three" {
		t.Errorf("got %v %q", kind, body)
	}
}

func TestEveryoneElseAndNeverTheSender(t *testing.T) {
	r := onNetwork(t, Options{})
	a, b, c := r.member(t, "t", "a", "rw"), r.member(t, "t", "b", "rw"), r.member(t, "t", "c", "rw")
	wstest.Write(t, a, websocket.MessageText, "from a")
	for _, conn := range []*websocket.Conn{b, c} {
		if _, body := wstest.Read(t, conn); body != "from a" {
			t.Errorf("got %q", body)
		}
	}
	wstest.Write(t, b, websocket.MessageText, "from b")
	// The first that a reads is from b: its own was not sent back.
	if _, body := wstest.Read(t, a); body != "from b" {
		t.Errorf("a got %q", body)
	}
}

func TestRightsAreEnforced(t *testing.T) {
	r := onNetwork(t, Options{})
	host := r.member(t, "t", "host", "rw")
	viewer := r.member(t, "t", "viewer", "r")
	deaf := r.member(t, "t", "deaf", "w")

	wstest.Write(t, viewer, websocket.MessageText, "a viewer may not say this")
	wstest.Eventually(t, "refused and counted", func() bool { return r.Stats().Dropped.Refused == 1 })
	wstest.Write(t, host, websocket.MessageText, "from the host")
	if _, body := wstest.Read(t, viewer); body != "from the host" {
		t.Errorf("viewer got %q", body)
	}
	wstest.Write(t, deaf, websocket.MessageText, "from the deaf")
	if _, body := wstest.Read(t, host); body != "from the deaf" {
		t.Errorf("host got %q", body)
	}

	// Rights that change count at once, for a connection that lives.
	r.access.change("viewer", func() { r.access.rights["viewer"] = [2]bool{true, true} })
	wstest.Eventually(t, "the right to write arrives", func() bool { return canWrite(r, "viewer") })
	wstest.Write(t, viewer, websocket.MessageText, "now it may")
	if _, body := wstest.Read(t, host); body != "from the deaf" && body != "now it may" {
		t.Errorf("host got %q", body)
	}

	for _, p := range r.Peers(lodge.DefaultTenant) {
		if p.Session == "deaf" && p.Out != 0 {
			t.Errorf("%d messages to one who may not read", p.Out)
		}
	}
}

func canWrite(r *rig, session string) bool {
	for _, p := range r.Peers(lodge.DefaultTenant) {
		if p.Session == session {
			return p.CanWrite
		}
	}
	return false
}

func TestSec32_TenantsDoNotMeet(t *testing.T) {
	r := onNetwork(t, Options{Tenant: func(req *http.Request) lodge.Tenant { return lodge.Tenant(req.Header.Get("X-Tenant")) }})
	r.access.allow("code", "same-data", true, true, time.Time{})
	tenants := []string{"one", "two", "three"}
	pairs := map[string][2]*websocket.Conn{}
	uris := map[string]string{}
	ask := func(tenant string) string {
		req, _ := http.NewRequest(http.MethodPost, r.url+"/session/same-data", nil)
		req.Header.Set("Authorization", "code")
		req.Header.Set("X-Tenant", tenant)
		_, answer := r.do(t, req)
		return answer["uri"]
	}
	for _, tenant := range tenants {
		var pair [2]*websocket.Conn
		for i := range pair {
			pair[i] = wstest.Dial(t, r.client, ask(tenant), http.Header{"X-Tenant": {tenant}})
		}
		pairs[tenant] = pair
		uris[tenant] = ask(tenant)
		wstest.Eventually(t, "both joined", func() bool { return len(r.Peers(lodge.Tenant(tenant))) == 2 })
	}
	for _, tenant := range tenants {
		wstest.Write(t, pairs[tenant][0], websocket.MessageText, tenant)
	}
	for _, tenant := range tenants {
		if _, body := wstest.Read(t, pairs[tenant][1]); body != tenant {
			t.Errorf("%s read what %s sent", tenant, body)
		}
		wstest.Write(t, pairs[tenant][1], websocket.MessageText, "back")
		if _, body := wstest.Read(t, pairs[tenant][0]); body != "back" {
			t.Errorf("%s read %q", tenant, body)
		}
	}
	for i, tenant := range tenants {
		other := tenants[(i+1)%len(tenants)]
		if _, status := wstest.TryDial(t, r.client, uris[tenant], http.Header{"X-Tenant": {other}}); status != http.StatusUnauthorized {
			t.Errorf("%s opened an address of %s: %d", other, tenant, status)
		}
	}
}

func TestSec30_OversizeAndBadTextAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		kind websocket.MessageType
		body string
		code websocket.StatusCode
	}{
		"too big":   {websocket.MessageBinary, strings.Repeat("x", 5000), websocket.StatusMessageTooBig},
		"far too":   {websocket.MessageBinary, strings.Repeat("x", 1<<20), websocket.StatusMessageTooBig},
		"not UTF-8": {websocket.MessageText, "\xff\xfe", websocket.StatusInvalidFramePayloadData},
	} {
		t.Run(name, func(t *testing.T) {
			r := onNetwork(t, Options{MaxMessage: 4096})
			ada, host := r.member(t, "t", "ada", "rw"), r.member(t, "t", "host", "rw")
			wstest.Write(t, ada, websocket.MessageBinary, strings.Repeat("x", 4096)) // as much as may be
			if _, body := wstest.Read(t, host); len(body) != 4096 {
				t.Fatalf("got %d bytes", len(body))
			}
			go func() {
				// Cut off in the middle, perhaps.
				_ = ada.Write(context.Background(), tc.kind, []byte(tc.body))
			}()
			if frame := wstest.Closed(t, ada, 10*time.Second); frame.Code != tc.code {
				t.Errorf("close frame %v", frame)
			}
			wstest.Eventually(t, "only the host is left", func() bool { return r.Stats().Peers == 1 })
			// Nothing of it went on.
			late := r.member(t, "t", "late", "rw")
			wstest.Write(t, late, websocket.MessageText, "after")
			if _, body := wstest.Read(t, host); body != "after" {
				t.Errorf("host got %d bytes", len(body))
			}
		})
	}
}

// Practable lost a slow reader's messages silently. Here its queue is bounded,
// what is dropped is the oldest, and is counted; nobody else is delayed.
func TestCompatFaultSlowReaderIsCounted(t *testing.T) {
	r := onPipes(t, Options{LiveMessages: 8})
	host := r.member(t, "pend00-video", "host", "rw")
	slow := r.member(t, "pend00-video", "slow", "r")
	fast := r.member(t, "pend00-video", "fast", "r")

	const frames = 200
	for i := range frames {
		wstest.Write(t, host, websocket.MessageBinary, fmt.Sprint(i))
		if _, got := wstest.Read(t, fast); got != fmt.Sprint(i) {
			t.Fatalf("the fast viewer got frame %s, want %d", got, i)
		}
	}
	counts := map[string]Counts{}
	for _, p := range r.Peers(lodge.DefaultTenant) {
		counts[p.Session] = p.Counts
	}
	if c := counts["fast"]; c.Dropped.total() != 0 {
		t.Errorf("fast: %+v", c)
	}
	dropped := counts["slow"].Dropped.Oldest
	if dropped == 0 || dropped >= frames {
		t.Fatalf("slow: %+v", counts["slow"])
	}
	// What it finds when it looks is the newest, and all that was not counted.
	last := -1
	for i := range frames - int(dropped) {
		_, got := wstest.Read(t, slow)
		n, err := strconv.Atoi(got)
		if err != nil || n <= last {
			t.Fatalf("frame %q follows %d", got, last)
		}
		if fromEnd := frames - int(dropped) - i; fromEnd <= 8 && n != frames-fromEnd {
			t.Errorf("frame %d is %d from the end", n, fromEnd)
		}
		last = n
	}
}

// A slow reader of control data is closed, as it must not miss anything from
// the middle.
func TestSec30_SlowControlReaderIsClosedNotThinned(t *testing.T) {
	r := onPipes(t, Options{QueueMessages: 64})
	host := r.member(t, "pend00-data", "host", "rw")
	slow := r.member(t, "pend00-data", "slow", "r")
	fast := r.member(t, "pend00-data", "fast", "r")

	const messages = 200
	for i := range messages {
		wstest.Write(t, host, websocket.MessageText, fmt.Sprint(i))
		if _, got := wstest.Read(t, fast); got != fmt.Sprint(i) {
			t.Fatalf("the fast reader got %s, want %d", got, i)
		}
	}
	if d := r.Stats().Dropped; d.Overflow != 1 || d.Left == 0 {
		t.Errorf("drops: %+v", d)
	}
	// What the slow one finds when it looks is complete up to the close frame.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for i := 0; ; i++ {
		_, got, err := slow.Read(ctx)
		if err != nil {
			if i == messages || websocket.CloseStatus(err) != StatusTooSlow {
				t.Errorf("after %d messages: %v", i, err)
			}
			break
		}
		if string(got) != fmt.Sprint(i) {
			t.Fatalf("message %s follows %d", got, i-1)
		}
	}
	wstest.Eventually(t, "the slow one has left", func() bool { return r.Stats().Peers == 2 })
}

// Where every reader is behind, the sender is held to the pace of the fastest:
// one that sends flat out loses nothing.
func TestFlatOutLosesNothing(t *testing.T) {
	for _, topic := range []string{"pend00-data", "pend00-video"} {
		t.Run(topic, func(t *testing.T) {
			r := onNetwork(t, Options{QueueBytes: 64 << 10, QueueMessages: 64})
			host, ada := r.member(t, topic, "host", "rw"), r.member(t, topic, "ada", "r")
			const messages = 5000
			body := strings.Repeat("x", 1024)
			var writer sync.WaitGroup
			writer.Go(func() {
				for i := range messages {
					wstest.Write(t, host, websocket.MessageBinary, fmt.Sprintf("%08d", i)+body)
				}
			})
			for i := range messages {
				if _, got := wstest.Read(t, ada); got[:8] != fmt.Sprintf("%08d", i) {
					t.Fatalf("message %s, want %d", got[:8], i)
				}
			}
			writer.Wait()
			if d := r.Stats().Dropped; d.total() != 0 {
				t.Errorf("dropped: %+v", d)
			}
		})
	}
}

// A grant bounds the messages of its stream, up and down from what others have,
// and its bound follows the grant on connections that stay open.
func TestSec30_MessageSizeIsTheStreams(t *testing.T) {
	r := onNetwork(t, Options{MaxMessage: 4096})
	sized := func(code, topic string, most int64) *websocket.Conn {
		r.access.sizes[code] = most
		return r.member(t, topic, code, "rw")
	}
	passes := func(from, to *websocket.Conn, size int) {
		t.Helper()
		wstest.Write(t, from, websocket.MessageBinary, strings.Repeat("x", size))
		if _, body := wstest.Read(t, to); len(body) != size {
			t.Errorf("got %d bytes, want %d", len(body), size)
		}
	}
	ends := func(conn *websocket.Conn, size int) {
		t.Helper()
		wstest.Write(t, conn, websocket.MessageBinary, strings.Repeat("x", size))
		if frame := wstest.Closed(t, conn, 20*time.Second); frame.Code != websocket.StatusMessageTooBig {
			t.Errorf("%d bytes: close frame %v", size, frame)
		}
	}
	small, large, other := sized("small", "t", 1024), sized("large", "t", 100_000), sized("other", "t", 0)
	passes(small, large, 1024)
	passes(large, small, 100_000)
	passes(other, small, 4096)
	ends(other, 4097)
	ends(small, 1025)

	r.access.change("large", func() { r.access.sizes["large"] = 2048 })
	wstest.Eventually(t, "the new bound", func() bool {
		found := false
		r.rooms.each(func(p *peer) { found = found || p.grant.Load().Session == "large" && p.limit() == 2048 })
		return found
	})
	ends(large, 2049)
}
