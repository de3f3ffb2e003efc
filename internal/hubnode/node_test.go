package hubnode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/storage/jetstream"
	"github.com/lodge-gateway/lodge/internal/storage/postgres"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
	"github.com/lodge-gateway/lodge/messaging"
)

const (
	tenant = lodge.Tenant("t")
	groups = 10
)

// ring is the keyring that all nodes share.
func ring() messaging.Keyring {
	return messaging.Keyring{
		Names: bytes.Repeat([]byte{1}, 32), Seals: map[string][]byte{"k1": bytes.Repeat([]byte{2}, 32)}, Current: "k1",
	}
}

// entitled returns the topics of a session, whose name is a number: everybody's
// and those of one group.
func entitled(session string) ([]string, error) {
	n, err := strconv.Atoi(session)
	if err != nil || n < 0 {
		return nil, lodge.E(lodge.CodeUnauthenticated, "a session is a number")
	}
	return []string{"all", groupOf(n)}, nil
}

func groupOf(n int) string { return fmt.Sprint("group:", n%groups) }

// members knows sessions by heart.
type members struct{}

func (members) Topics(_ context.Context, session string, tenant lodge.Tenant) (messaging.Subscriber, error) {
	topics, err := entitled(session)
	return messaging.Subscriber{Tenant: tenant, Person: lodge.PersonID("p" + session), Session: session, Topics: topics}, err
}

func (m members) Join(ctx context.Context, session string, tenant lodge.Tenant, _ func(error)) (messaging.Subscriber, func(), error) {
	sub, err := m.Topics(ctx, session, tenant)
	if err != nil {
		return messaging.Subscriber{}, nil, err
	}
	return sub, func() {}, nil
}

// openLog opens the log at a URL, as soon as its server is there.
func openLog(ctx context.Context, url string) (messaging.Log, func(), error) {
	for {
		log, end, err := tryLog(ctx, url)
		if err == nil {
			return log, end, nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			return nil, nil, err
		}
	}
}

func tryLog(ctx context.Context, url string) (messaging.Log, func(), error) {
	quiet := slog.New(slog.DiscardHandler)
	if strings.HasPrefix(url, "redis:") {
		config, err := redis.ParseURL(url)
		if err != nil {
			return nil, nil, err
		}
		config.Logger = quiet
		log, err := redis.NewLog(ctx, config, redis.LogOptions{})
		if err != nil {
			return nil, nil, err
		}
		return log, func() { _ = log.Close() }, nil
	}
	if strings.HasPrefix(url, "nats:") {
		log, err := jetstream.NewLog(ctx, jetstream.Config{URLs: []string{url}, SyncVouched: true})
		if err != nil {
			return nil, nil, err
		}
		return log, func() { _ = log.Close() }, nil
	}
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 8, Logger: quiet})
	if err != nil {
		return nil, nil, err
	}
	log := postgres.NewLog(db)
	return log, func() { _ = log.Close(); _ = db.Close() }, nil
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// lameDuck is how long a node that stops goes on taking requests, while it says
// that it is not to be sent any.
const lameDuck = 500 * time.Millisecond

// runNode is a node until SIGTERM, and then leaves in order.
func runNode(url, address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log, end, err := openLog(ctx, url)
	if err != nil && ctx.Err() != nil {
		return nil // told to stop before it began
	}
	if err != nil {
		return err
	}
	defer end()
	quiet := slog.New(slog.DiscardHandler)
	topics, err := messaging.NewTopics(log, ring(), messaging.TopicsOptions{Poll: 500 * time.Millisecond, Logger: quiet})
	if err != nil {
		return err
	}
	n := &node{topics: topics}
	n.hub = messaging.NewHub(topics, members{}, nil, lodge.SystemClock{}, messaging.HubOptions{Logger: quiet})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", n.socket)
	mux.HandleFunc("POST /publish", n.publish)
	mux.HandleFunc("GET /ready", n.ready)
	mux.HandleFunc("GET /sockets", n.sockets)
	running, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	parts.Go(func() { _ = topics.Run(running) })
	parts.Go(func() { _ = n.hub.Run(running) })
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	n.leaving.Store(true)
	leave, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	pause(leave, lameDuck)
	return errors.Join(n.hub.Drain(leave), server.Shutdown(leave))
}

type node struct {
	topics  *messaging.Topics
	hub     *messaging.Hub
	leaving atomic.Bool
}

func (n *node) ready(w http.ResponseWriter, _ *http.Request) {
	if n.leaving.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (n *node) sockets(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprint(w, len(n.hub.Sockets(tenant)))
}

func (n *node) socket(w http.ResponseWriter, r *http.Request) {
	sub, err := members{}.Topics(r.Context(), r.URL.Query().Get("session"), tenant)
	if err == nil {
		err = n.hub.ServeWS(w, r, sub)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// publish answers 202 with the position when the message is durable.
func (n *node) publish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return // the publisher is gone
	}
	q := r.URL.Query()
	event := messaging.Event{ID: q.Get("id"), Type: messaging.TypeNotice, Time: time.Now(), Data: json.RawMessage(body)}
	message, err := event.Message()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	added, err := n.topics.Append(r.Context(), tenant, q.Get("topic"), message)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprint(w, added[0].Pos)
}

// as is what this process is, when it is not the test.
func as() func() error {
	switch os.Getenv("HUBNODE") {
	case "node":
		return func() error { return runNode(os.Getenv("HUBNODE_LOG"), os.Getenv("HUBNODE_ADDRESS")) }
	case "clients":
		return func() error {
			return runClients(strings.Split(os.Getenv("HUBNODE_NODES"), ","), os.Getenv("HUBNODE_SESSIONS"), os.Stdin, os.Stdout)
		}
	}
	return nil
}
