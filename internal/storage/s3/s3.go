// Package s3 keeps what people hand in, in a bucket of an object store that speaks the
// S3 protocol: handin.Files for several nodes, and for one that is to have no disk of
// its own.
//
//	place.go        the setting: where the bucket is
//	s3.go           opening, and what all requests have in common
//	credentials.go  the file of the key, read at each request
//	dial.go         connections that are given up when they are silent, bodies that are let go
//	errors.go       what the store says, in words for operators and for people
//	create.go       a file on its way in
//	buffer.go       what of it waits to be sent, and the bound of all that
//	read.go         reading and listing
//	remove.go       removing
//	probe.go        what the doctor and the start ask
//
// A file is one object, whose key is the prefix and its name. What fits one part is
// sent whole by Commit; of what is longer each part is sent as it is full, in a
// multipart upload that Commit completes: either makes the object visible at once and
// whole, and answers when the store has it for good. Whatever is begun and not
// completed stands in the store's list of multipart uploads until it is given up.
//
// The contents are sealed before they come here. The digest of each part is in its
// signature, so that the store takes none that was altered on the way.
package s3

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/semaphore"

	"github.com/lodge-gateway/lodge/messaging/handin"
)

const (
	// tries is how often a request is made that another try may do without.
	tries = 3
	// pauseUnit is waited before the second try, and twice that before the third.
	pauseUnit = 250 * time.Millisecond
	// requestLimit bounds one try of what carries next to nothing, partLimit that of
	// one part.
	requestLimit = 30 * time.Second
	partLimit    = 2 * time.Minute
	// defaultStall is how long a connection may be silent.
	defaultStall = 30 * time.Second
)

// Config says where the bucket is, and by what right.
type Config struct {
	Place Place
	// Region is what requests are signed for; empty: what the host name says, else
	// us-east-1, which is what stores elsewhere go by.
	Region string
	// HostStyle has the bucket's name before that of the host, PathStyle after it;
	// neither: as is usual for the host.
	HostStyle, PathStyle bool
	// Key returns the key, each time that one is needed.
	Key func() (Key, error)
	// Authorities are what the store's certificate is verified by; nil: the system's.
	Authorities *x509.CertPool
	// Stall is how long a connection may be silent; 0: 30 s.
	Stall time.Duration
}

// A Store is a bucket, or what is below a prefix of one. Any number of nodes may share
// it.
type Store struct {
	place  Place
	client *minio.Core
	idle   func() // closes the connections that nobody uses
	room   *semaphore.Weighted
}

var _ handin.Files = (*Store)(nil)

// Open prepares a store. It connects to nothing.
func Open(c Config) (*Store, error) {
	lookup := minio.BucketLookupAuto
	switch {
	case c.HostStyle:
		lookup = minio.BucketLookupDNS
	case c.PathStyle:
		lookup = minio.BucketLookupPath
	}
	stall := c.Stall
	if stall == 0 {
		stall = defaultStall
	}
	transport := newTransport(stall, c.Authorities)
	client, err := minio.NewCore(c.Place.Host, &minio.Options{
		Creds: credentials.New(&provider{key: c.Key}), Secure: c.Place.TLS, Transport: letting{transport},
		Region: c.Place.region(c.Region), BucketLookup: lookup,
		// A request is tried again here, once nobody reads the body of the one before.
		MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &Store{place: c.Place, client: client, idle: transport.CloseIdleConnections, room: semaphore.NewWeighted(maxBlocks)}, nil
}

// Close ends the connections that are open. Nothing is to be under way.
func (s *Store) Close() error {
	s.idle()
	return nil
}

// key is that of a file, or the beginning of those in a folder.
func (s *Store) key(name string) string { return s.place.Prefix + name }

// try does something within a limit, and again where that may help. 0 is no limit but
// that of silence.
func (s *Store) try(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	err := s.once(ctx, limit, do)
	for again := 1; again < tries && err != nil && ctx.Err() == nil && passing(err); again++ {
		pause := time.NewTimer(time.Duration(again) * pauseUnit)
		select {
		case <-pause.C:
			err = s.once(ctx, limit, do)
		case <-ctx.Done():
			pause.Stop()
		}
	}
	return s.explain(ctx, err)
}

// once returns when nothing of what do sent is read any more.
func (s *Store) once(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var bodies sync.WaitGroup
	err := do(context.WithValue(ctx, bodiesKey{}, &bodies))
	bodies.Wait()
	return err
}
