package s3_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge/internal/s3test"
	"github.com/lodge-gateway/lodge/internal/storage/s3"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/messaging/handin/handintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func key() (s3.Key, error) { return s3.Key{ID: s3test.KeyID, Secret: s3test.SecretKey}, nil }

func config(t *testing.T, url string) s3.Config {
	t.Helper()
	place, err := s3.ParsePlace(url)
	if err != nil {
		t.Fatal(err)
	}
	return s3.Config{Place: place, Key: key}
}

func open(t *testing.T, c s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestFiles(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	for name, prefix := range map[string]string{"a bucket": "", "a prefix": "/lodge/hand-ins"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handintest.Run(t, func(t *testing.T) handin.Files { return open(t, config(t, server.URL()+prefix)) })
		})
	}
}
