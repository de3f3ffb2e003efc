package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// limitKey is what the Redis limit reads: a key and a value as long as those of a
// session.
const (
	limitKey   = "lodge:{default}:session:bench-bench-bench-bench-bench-bench-bench-bench"
	limitValue = 320 // bytes
)

// limit serves a bare limit: what the mechanism costs with nothing of Lodge's
// around it. All answer 204 and no headers of their own.
func limit(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("limit", flag.ContinueOnError)
	kind := flags.String("kind", "", "redis, map or nothing")
	redisAddr := flags.String("redis", "", "address of the Redis")
	cookie := flags.String("cookie", "", "NAME=VALUE that is good")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var handler http.HandlerFunc
	switch *kind {
	case "redis":
		client := redis.NewClient(&redis.Options{Addr: *redisAddr})
		defer func() { _ = client.Close() }()
		if err := client.Set(ctx, limitKey, strings.Repeat("x", limitValue), 0).Err(); err != nil {
			return err
		}
		handler = readsRedis(client)
	case "map":
		name, value, _ := strings.Cut(*cookie, "=")
		handler = readsMap(name, value)
	case "nothing":
		handler = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	default:
		return fmt.Errorf("there is no limit %q", *kind)
	}
	return serveUntilClosed(ctx, "127.0.0.1:0", handler)
}

// readsRedis is one GET for each request.
func readsRedis(client *redis.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := client.Get(r.Context(), limitKey).Result(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// readsMap is one look-up of the cookie in a map, under a lock.
func readsMap(name, value string) http.HandlerFunc {
	var mu sync.RWMutex
	good := map[string]bool{value: true}
	return func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(name)
		if err == nil {
			mu.RLock()
			known := good[cookie.Value]
			mu.RUnlock()
			if known {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
}
