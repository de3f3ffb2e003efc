package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// A hubUnderTest is a Lodge or the bare limit, with its listeners.
type hubUnderTest struct {
	name      string
	url       string
	pid       int
	raw       bool
	admin     string // the code of who sends; empty at the bare limit
	lab       *lab   // nil at the bare limit
	server    *process
	listeners *process
	sent      atomic.Int64
	client    *http.Client
}

// The names of what takes turns.
const (
	hubLodge = "Lodge"
	hubLimit = "bare limit"
	hubSlow  = "Lodge with slow readers"
)

// What is measured, and beside what.
var (
	againstLimit = [2]string{hubLodge, hubLimit}
	besideSlow   = [2]string{hubSlow, hubLodge}
)

// openHub starts a Lodge, or the bare limit, and a process of listeners that are
// signed in and not connected yet; with slow readers so many besides.
func openHub(ctx context.Context, name, binary string, sockets, slow int) (h *hubUnderTest, err error) {
	h = &hubUnderTest{name: name, raw: name == hubLimit, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 128}, Timeout: 30 * time.Second,
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if name != hubSlow {
		slow = 0
	}
	if h.raw {
		if h.server, err = child(ctx, "rawhub"); err != nil {
			return h, err
		}
		addr, err := h.server.serve("ready at ")
		if err != nil {
			return h, err
		}
		h.url, h.pid = "http://"+addr, h.server.cmd.Process.Pid
	} else {
		h.lab, err = openLab(ctx, labOptions{binary: binary, gateways: 1, people: max(sockets+slow, 1), settings: []string{"send_rate: 1000000"}})
		if err != nil {
			return h, err
		}
		h.url, h.pid = h.lab.gateways[0].url, h.lab.gateways[0].pid()
		if h.admin, err = signIn(ctx, shared, h.url, administrator); err != nil {
			return h, err
		}
	}
	if h.listeners, err = child(ctx, "listeners"); err != nil {
		return h, err
	}
	if err := json.NewEncoder(h.listeners.in).Encode(listenPlan{URL: h.url, Raw: h.raw, Sockets: sockets, Slow: slow}); err != nil {
		return h, err
	}
	_, err = h.listeners.await("ready")
	return h, err
}

func (h *hubUnderTest) close() error {
	var errs []error
	if h.listeners != nil {
		errs = append(errs, h.listeners.stop())
	}
	if h.server != nil {
		errs = append(errs, h.server.stop())
	}
	h.client.CloseIdleConnections()
	return errors.Join(append(errs, h.lab.Close())...)
}

// tell gives the listeners an order and waits for the answer.
func (h *hubUnderTest) tell(o order) (heard, error) {
	if o.Within == 0 {
		o.Within = time.Minute
	}
	if err := json.NewEncoder(h.listeners.in).Encode(o); err != nil {
		return heard{}, err
	}
	line, err := h.listeners.await("heard ")
	if err != nil {
		return heard{}, err
	}
	var answer heard
	if err := json.Unmarshal([]byte(line), &answer); err != nil {
		return heard{}, err
	}
	if answer.Error != "" {
		return answer, fmt.Errorf("%s: %s: %s", h.name, o.Do, answer.Error)
	}
	return answer, nil
}

// text is a message's: its number and time, filled up to a size in bytes.
func (h *hubUnderTest) text(size int) string {
	text := fmt.Sprintf("%s%d@%d ", marker, h.sent.Add(1), time.Now().UnixNano())
	return text + strings.Repeat("x", max(0, size-len(text)))
}

// publish sends a message of so many bytes to everyone, and returns when the
// server has answered.
func (h *hubUnderTest) publish(ctx context.Context, size int) error {
	target, want := h.url+"/publish", http.StatusAccepted
	body := []byte(h.text(size))
	if !h.raw {
		target = h.url + "/api/v1/messages"
		var err error
		if body, err = json.Marshal(map[string]string{"to": "all", "text": string(body)}); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if !h.raw {
		req.AddCookie(&http.Cookie{Name: loginCookie, Value: h.admin})
	}
	res, err := h.client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	_ = res.Body.Close()
	if res.StatusCode != want {
		return errors.Join(fmt.Errorf("publishing: %s: %s", res.Status, answer), err)
	}
	return err
}
