package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/s3test"
	"github.com/lodge-gateway/lodge/internal/storage/s3"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/messaging/handin"
)

var long = bytes.Repeat([]byte("hand-in "), 12<<17) // of three parts

func put(ctx context.Context, s *s3.Store, name string, b []byte) error {
	p, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := p.Write(b); err != nil {
		return errors.Join(err, p.Discard())
	}
	if err := p.Commit(); err != nil {
		return errors.Join(err, p.Discard())
	}
	return nil
}

func get(ctx context.Context, s *s3.Store, name string) ([]byte, error) {
	r, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func holds(t *testing.T, s *s3.Store, want ...string) {
	t.Helper()
	var got []string
	for name, err := range s.List(t.Context(), ".") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the store holds %q, want %q", got, want)
	}
}

func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	said, ok := errors.AsType[*lodge.Error](err)
	if !ok || said.Code != lodge.CodeUnavailable || said.Safe == "" || strings.Contains(err.Error(), s3test.SecretKey) {
		t.Errorf("%s: %v", what, err)
	}
}

// The server dies amid an upload: nothing of it is to be seen, what it left can be
// swept, and the next try works without anything being started again but the server.
func TestRel18_AStoreThatDiesAmidAnUploadShowsNothingOfIt(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	s := open(t, config(t, server.URL()))
	if err := put(t.Context(), s, "t/before", long); err != nil {
		t.Fatal(err)
	}
	p, err := s.Create(t.Context(), "t/amid")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(long[:6<<20]); err != nil {
		t.Fatal(err)
	}
	server.Kill9()
	_, err = p.Write(long[6<<20:])
	if err == nil {
		err = p.Commit()
	}
	unavailable(t, "an upload", err)
	if again := p.Commit(); !errors.Is(again, err) {
		t.Errorf("a commit after %v: %v", err, again)
	}
	unavailable(t, "giving it up", p.Discard())
	unavailable(t, "a small file", put(t.Context(), s, "t/small", []byte("x")))
	_, err = get(t.Context(), s, "t/before")
	unavailable(t, "reading", err)
	unavailable(t, "removing", s.Remove(t.Context(), "t/before"))
	for _, err = range s.List(t.Context(), "t") {
	}
	unavailable(t, "listing", err)
	unavailable(t, "the doctor", handin.Probe(t.Context(), s))
	unavailable(t, "the start", s.Ping(t.Context()))

	server.Restart()
	holds(t, s, "t/amid"+handin.PartSuffix, "t/before")
	if err := s.Remove(t.Context(), "t/amid"+handin.PartSuffix); err != nil {
		t.Error(err)
	}
	if err := put(t.Context(), s, "t/amid", long); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"t/amid", "t/before"} {
		if got, err := get(t.Context(), s, name); err != nil || !bytes.Equal(got, long) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	holds(t, s, "t/amid", "t/before")
	if err := errors.Join(handin.Probe(t.Context(), s), s.Rehearse(t.Context()), s.Ping(t.Context())); err != nil {
		t.Error(err)
	}
	holds(t, s, "t/amid", "t/before")
}

// A store that is silent is given up, for each thing that is asked of it, and used
// again when it speaks.
func TestFaultASilentStoreIsGivenUp(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	if err := put(t.Context(), open(t, config(t, server.URL())), "t/a", long); err != nil {
		t.Fatal(err)
	}
	proxy := faultproxy.Start(t, server.Addr())
	c := config(t, "http://"+proxy.Addr()+"/"+s3test.Bucket)
	c.Stall = 700 * time.Millisecond
	s := open(t, c)
	whole := func() bool { // on a machine that is busy, a store is silent without being hung
		got, err := get(t.Context(), s, "t/a")
		return err == nil && bytes.Equal(got, long)
	}
	wstest.Eventually(t, "a file is read", whole)
	var amid io.ReadCloser
	wstest.Eventually(t, "a file is open", func() (ok bool) {
		var err error
		amid, err = s.Open(t.Context(), "t/a")
		return err == nil
	})
	proxy.Hang()
	_, err := io.Copy(io.Discard, amid)
	unavailable(t, "amid reading", err)
	_ = amid.Close()
	unavailable(t, "a long file", put(t.Context(), s, "t/b", long))
	unavailable(t, "a small file", put(t.Context(), s, "t/c", []byte("x")))
	_, err = get(t.Context(), s, "t/a")
	unavailable(t, "reading", err)
	unavailable(t, "removing", s.Remove(t.Context(), "t/a"))

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- put(ctx, s, "t/d", long) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	proxy.Pass()
	wstest.Eventually(t, "the file is read again", whole)
}

// The store has completed a file, and its answer is lost: the file counts.
func TestRel23_ALostAnswerToACommitIsNotALostFile(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	b := startBetween(t, server)
	s := open(t, config(t, b.url()))
	for name, lost := range map[string]func(*http.Request) bool{
		"long":  func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") },
		"small": func(r *http.Request) bool { return r.Method == http.MethodPut && !r.URL.Query().Has("uploadId") },
		"begin": func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") },
		"part":  func(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Query().Has("uploadId") },
	} {
		contents := long
		if name == "small" {
			contents = []byte("small")
		}
		times := 0
		b.set(nil, func(r *http.Request) bool {
			if lost(r) {
				times++
				return times == 1
			}
			return false
		})
		if err := put(t.Context(), s, "t/"+name, contents); err != nil || times < 2 && name != "small" {
			t.Errorf("%s: %v, asked %d times", name, err, times)
		}
		if got, err := get(t.Context(), s, "t/"+name); err != nil || !bytes.Equal(got, contents) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	// Two uploads were begun for one of them: the other is swept.
	if err := s.Remove(t.Context(), "t/begin"+handin.PartSuffix); err != nil {
		t.Error(err)
	}
	holds(t, s, "t/begin", "t/long", "t/part", "t/small")
	// An upload that somebody else gave up is not taken for one that is complete.
	b.set(nil, func(r *http.Request) bool { return lostAlways(r) })
	if err := put(t.Context(), s, "t/never", long); err == nil {
		t.Error("committed, though nobody said so")
	}
}

func lostAlways(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
}

// What is altered on its way to the store is not taken, and sent again.
func TestRel19_WhatIsAlteredOnItsWayIsSentAgain(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	b := startBetween(t, server)
	s := open(t, config(t, b.url()))
	for name, contents := range map[string][]byte{"small": []byte("contents"), "long": long} {
		times := 0
		b.set(func(r *http.Request, body []byte) []byte {
			if r.Method == http.MethodPut && len(body) > 0 {
				if times++; times == 1 {
					body[len(body)/2] ^= 1
				}
			}
			return body
		}, nil)
		if err := put(t.Context(), s, "t/"+name, contents); err != nil || times < 2 {
			t.Errorf("%s: %v, sent %d times", name, err, times)
		}
		if got, err := get(t.Context(), s, "t/"+name); err != nil || !bytes.Equal(got, contents) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	b.set(func(_ *http.Request, body []byte) []byte {
		if len(body) > 0 {
			body[0] ^= 1
		}
		return body
	}, nil)
	unavailable(t, "always altered", put(t.Context(), s, "t/never", []byte("contents")))
	if _, err := get(t.Context(), s, "t/never"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
