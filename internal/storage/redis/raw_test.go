package redis

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/internal/redistest"
)

// rawClient is a connection that trusts any server, for what a test does to one.
func rawClient(t *testing.T, s *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(Config{}.plain(s.Addr()))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
