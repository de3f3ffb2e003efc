package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/relay"
)

// meetAgain is within which time hosts and viewers are together again after a node
// has died.
const meetAgain = 10 * time.Second

// relay writes the configuration of a relay on its own.
func (s *site) relay(name string, more ...string) *siteNode {
	s.t.Helper()
	n := &siteNode{site: s, data: filepath.Join(s.dir, name), file: filepath.Join(s.dir, name+".yaml"), address: freeAddress(s.t), command: "relay"}
	text := append([]string{
		"public_url: " + s.base(), "assets_url: http://localhost", "relay_url: http://" + n.address, "listen: " + n.address, "data: " + n.data,
		"log_level: warn",
	}, more...)
	if !strings.Contains(strings.Join(more, " "), "redis: ") {
		text = append(text, "redis: "+s.redis.URL())
	}
	if err := os.WriteFile(n.file, []byte(strings.Join(text, "\n")), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// carrying is a gateway that carries streams itself.
func (s *site) carrying(name string) *siteNode {
	s.t.Helper()
	n := s.node(name)
	return s.with(n, "relay_url: http://"+n.address)
}

// with adds a setting to the configuration of a node.
func (s *site) with(n *siteNode, setting string) *siteNode {
	s.t.Helper()
	f, err := os.OpenFile(n.file, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = io.WriteString(f, "\n"+setting+"\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// balance listens at the public address, and takes each connection to the first of
// the nodes that accepts it: a balancer without stickiness.
func (s *site) balance(nodes ...*siteNode) {
	l, err := net.Listen("tcp", s.public)
	if err != nil {
		s.t.Fatal(err)
	}
	var running sync.WaitGroup
	stopped := make(chan struct{})
	running.Go(func() {
		for next := 0; ; next++ {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() { carry(client, nodes, next, stopped) })
		}
	})
	s.t.Cleanup(func() {
		close(stopped)
		_ = l.Close() // what it could tell is of no use any more
		running.Wait()
	})
}

func carry(client net.Conn, nodes []*siteNode, first int, stopped <-chan struct{}) {
	defer client.Close()
	for i := range nodes {
		server, err := net.Dial("tcp", nodes[(first+i)%len(nodes)].address)
		if err != nil {
			continue
		}
		end := sync.OnceFunc(func() { _ = server.Close(); _ = client.Close() }) // either may be closed already
		defer end()
		var both sync.WaitGroup
		both.Go(func() { defer end(); _, _ = io.Copy(server, client) }) // until either side has had enough
		both.Go(func() { defer end(); _, _ = io.Copy(client, server) })
		done := make(chan struct{})
		go func() { both.Wait(); close(done) }()
		select {
		case <-done:
		case <-stopped:
			end()
			<-done
		}
		return
	}
}

// hears waits until what one sends arrives at the other, and returns how long that
// took.
func hears(t *testing.T, listener *practableClient, say func(string)) time.Duration {
	t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 3*meetAgain)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	word := fmt.Sprint("tick ", rand.Uint64())
	for {
		say(word)
		select {
		case got := <-listener.got:
			if got == word {
				return time.Since(begun)
			}
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("they have not met in %s", 3*meetAgain)
		}
	}
}

// hostCode makes a code for the hardware of pend00.
func hostCode(t *testing.T, n *siteNode) string { return hostCodeFor(t, n, "pend00") }

func hostCodeFor(t *testing.T, n *siteNode, experiment string) string {
	t.Helper()
	status, code, errs := lodgeRun(t, "codes", "create", "--experiment", experiment, "--config", n.file)
	if status != exitDone {
		t.Fatal(errs)
	}
	return strings.TrimSpace(code)
}

// hostProgram runs lodge host for pend00-data, and returns what local hardware says
// things with.
func hostProgram(t *testing.T, s *site, code string) func(string) {
	t.Helper()
	local, dir := freeAddress(t), t.TempDir()
	config := filepath.Join(dir, "host.yaml")
	for name, text := range map[string]string{
		"code":      code + "\n",
		"host.yaml": "relay: " + s.base() + "\ncode_file: code\nlisten: " + local + "\nstreams:\n  - topic: pend00-data\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	end := running(t, "lodge: status at http://"+local+"\n", "host", "--config", config, "--log-level", "error")
	t.Cleanup(func() { end() })
	rig := wstest.Dial(t, http.DefaultClient, "ws://"+local+"/ws/pend00-data", nil)
	var heard sync.WaitGroup
	heard.Go(func() {
		for {
			if _, _, err := rig.Read(context.Background()); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		_ = rig.CloseNow() // the host may have closed it
		heard.Wait()
	})
	return func(text string) { wstest.Write(t, rig, websocket.MessageText, text) }
}

// Two gateways that both carry streams, with a balancer that knows nothing of
// them: whoever is asked, host and viewer meet; when the node dies that has them,
// they meet at the other.
func TestRelaysOfTwoGateways(t *testing.T) {
	s := newSite(t)
	one := s.carrying("one")
	if status, out, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--config", one.file); status != exitDone {
		t.Fatal(out, errs)
	}
	one.start()
	two := s.carrying("two").start()
	nodes := map[string]*siteNode{one.address: one, two.address: two}
	s.balance(one, two)
	code := hostCode(t, one)
	say := hostProgram(t, s, code)

	ada := newVisitor(t, s.base())
	if status, body := ada.do("GET", "/login/dev?login_hint=ada", nil); status != http.StatusOK {
		t.Fatal(status, string(body))
	}
	booking := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300})
	activity := call[gateway.Activity](ada, 200, "POST", "/api/v1/bookings/"+booking.ID+"/activity", nil)
	var stream gateway.StreamView
	for _, one := range activity.Streams {
		if strings.HasSuffix(one.URL, "/pend00-data") {
			stream = one
		}
	}
	viewer := practable(t, stream.URL, stream.Token)
	hears(t, viewer, say)

	// The other host of the same rig, with a program of practable's.
	other := practable(t, s.base()+"/session/pend00-data", code)
	hears(t, viewer, other.say)
	if viewer.at() != other.at() {
		t.Errorf("the viewer is at %s, the host at %s", viewer.at(), other.at())
	}

	for round := range 2 {
		dead := nodes[viewer.at()]
		dead.process.stop(syscall.SIGKILL)
		begun := time.Now()
		var met [2]time.Duration
		hears(t, viewer, say)
		met[0] = time.Since(begun)
		hears(t, viewer, other.say)
		met[1] = time.Since(begun)
		t.Logf("killed -9: the viewer hears lodge host again after %.1f s, practable's host after %.1f s", met[0].Seconds(), met[1].Seconds())
		if met[0] > meetAgain || met[1] > meetAgain {
			t.Errorf("round %d: they met again after %s", round, met)
		}
		if viewer.at() == dead.address {
			t.Error("the viewer is where nobody is")
		}
		dead.start()
	}

	// One that stops in good order hands over at once.
	leaving := nodes[viewer.at()]
	begun := time.Now()
	ended := make(chan struct{})
	go func() { defer close(ended); leaving.process.stop(syscall.SIGTERM) }()
	for viewer.at() == leaving.address {
		hears(t, viewer, say)
	}
	hears(t, viewer, say)
	t.Logf("stopped: they meet again %.1f s after the signal", time.Since(begun).Seconds())
	if viewer.at() == leaving.address || time.Since(begun) > meetAgain {
		t.Errorf("the viewer is at %s after %s", viewer.at(), time.Since(begun))
	}
	<-ended
}

// A revocation reaches a stream at a relay of its own within this, in ninety-nine
// cases of a hundred.
const revokedWithin = 250 * time.Millisecond

// Two relays on their own beside a gateway that carries nothing: what the gateway
// decides reaches them, and one that is cut off from the others lets go of its
// streams before the other has them.
func TestRelaysOnTheirOwn(t *testing.T) {
	s := newSite(t)
	one := s.node("one")
	if status, out, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--config", one.file); status != exitDone {
		t.Fatal(out, errs)
	}
	one = s.with(one, "relay_url: elsewhere").start()
	s.balance(one)
	code := hostCode(t, one)
	if status, _, err := exchange(t, s.base()+"/session/pend00-data", code); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("without a relay: %d %v", status, err)
	}
	links, relays := map[string]*faultproxy.Proxy{}, map[string]*siteNode{}
	for _, name := range []string{"relay1", "relay2"} {
		link := faultproxy.Start(t, s.redis.Addr())
		n := s.relay(name, "redis: redis://"+link.Addr()+"/0", "lease_poll: 1s").start()
		links[n.address], relays[n.address] = link, n
	}

	dial := func(topic, code string) (*websocket.Conn, string) {
		t.Helper()
		var uri string
		wstest.Eventually(t, "an address of "+topic, func() bool {
			status, got, err := exchange(t, s.base()+"/session/"+topic, code)
			uri = got
			return err == nil && status == http.StatusOK
		})
		at, err := url.Parse(uri)
		if err != nil || relays[at.Host] == nil {
			t.Fatalf("led to %q", uri)
		}
		return wstest.Dial(t, http.DefaultClient, uri, nil), at.Host
	}
	t.Run("off-line", func(t *testing.T) {
		ada, linus := signedInAt(one, "ada"), signedInAt(one, "linus")
		booking := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300})
		activity := call[gateway.Activity](ada, 200, "POST", "/api/v1/bookings/"+booking.ID+"/activity", nil)
		token := activity.Streams[0].Token
		topic := activity.Streams[0].URL[strings.LastIndex(activity.Streams[0].URL, "/")+1:]
		viewer, _ := dial(topic, token)
		// The relay has no log of messages to say so in: the gateway finds out.
		present := func(want ...string) {
			t.Helper()
			wstest.Eventually(t, fmt.Sprint("in the experiment: ", want), func() bool {
				var names []string
				for _, p := range call[gateway.PresenceView](linus, 200, "GET", "/api/v1/presence?experiment=pend00", nil).People {
					names = append(names, p.Name)
				}
				return slices.Equal(names, want)
			})
		}
		present("Ada Lovelace")
		state := func(online bool) {
			t.Helper()
			call[gateway.ExperimentView](linus, 200, "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Online: online, Reason: "The bearing is stuck."})
		}
		state(false)
		if frame := wstest.Closed(t, viewer, 5*time.Second); frame.Code != 4409 || frame.Reason != "The bearing is stuck." {
			t.Errorf("closed with %v", frame)
		}
		present()
		state(true)
		viewer, _ = dial(topic, token)
		call[gateway.BookingView](ada, 200, "DELETE", "/api/v1/bookings/"+booking.ID, gateway.CancelRequest{})
		if frame := wstest.Closed(t, viewer, 5*time.Second); frame.Code != 4403 {
			t.Errorf("closed with %v", frame)
		}
	})
	t.Run("denied", func(t *testing.T) { deniedElsewhere(t, one, dial) })
	t.Run("revoked", func(t *testing.T) {
		const streams = 200
		ids, conns := make([]string, streams), make([]*websocket.Conn, streams)
		at := map[string]int{}
		for i := range streams {
			topic := fmt.Sprint("bench", i%20, "-data")
			var view gateway.CodeView
			if err := ask(t.Context(), one.data, "/codes", gateway.CodeRequest{Kind: "service", Scopes: []string{"read:" + topic}}, &view); err != nil {
				t.Fatal(err)
			}
			var host string
			ids[i] = view.Session.ID
			conns[i], host = dial(topic, view.Code)
			at[host]++
		}
		if len(at) != 2 {
			t.Errorf("the streams are at %v", at)
		}
		took := make([]time.Duration, streams)
		for i := range streams {
			var done gateway.RevokedView
			if err := ask(t.Context(), one.data, "/codes/"+ids[i]+"/revoke", gateway.RevokeRequest{Reason: "It leaked."}, &done); err != nil {
				t.Fatal(err)
			}
			answered := time.Now()
			if frame := wstest.Closed(t, conns[i], 10*time.Second); frame.Code != 4403 {
				t.Errorf("closed with %v", frame)
			}
			took[i] = time.Since(answered)
		}
		slices.Sort(took)
		p99 := took[streams*99/100]
		t.Logf("from the answer to a revocation to the closed stream, %d streams at two relays: p50 %.1f ms, p99 %.1f ms, longest %.1f ms",
			streams, ms(took[streams/2]), ms(p99), ms(took[streams-1]))
		if p99 > revokedWithin {
			t.Errorf("p99 is %s", p99)
		}
	})
	t.Run("status", func(t *testing.T) {
		var view gateway.CodeView
		if err := ask(t.Context(), one.data, "/codes", gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:stats"}}, &view); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			dial(fmt.Sprint("pend0", i%2, []string{"-data", "-video"}[i%2]), hostCodeFor(t, one, fmt.Sprint("pend0", i%2)))
		}
		operator := newVisitor(t, s.base())
		wstest.Eventually(t, "all streams in the status", func() bool {
			return len(call[[]relay.PeerStatus](operator, 200, "GET", "/status", nil, header{"Authorization", view.Code})) == 6
		})
	})
	t.Run("cut off", func(t *testing.T) {
		viewer, at := dial("pend00-data", code)
		watcher := practable(t, s.base()+"/session/pend00-data", code)
		host := practable(t, s.base()+"/session/pend00-data", code)
		hears(t, watcher, host.say)
		begun := time.Now()
		links[at].Hang() // it reaches the gateway's address, and its clients reach it
		frame := wstest.Closed(t, viewer, meetAgain)
		closed := time.Since(begun)
		if frame.Code != relay.StatusLeaseLost {
			t.Errorf("closed with %v", frame)
		}
		hears(t, watcher, host.say)
		met := time.Since(begun)
		t.Logf("cut off from Redis: closed with 4408 after %.1f s, together again at the other relay after %.1f s", closed.Seconds(), met.Seconds())
		if watcher.at() == at || met > meetAgain || closed > met {
			t.Errorf("at %s after %s, closed after %s", watcher.at(), met, closed)
		}
		links[at].Pass()
	})
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
