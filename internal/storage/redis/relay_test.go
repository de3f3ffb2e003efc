package redis

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/relay/relaytest"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// shared is all that nodes of a relay share on Redis.
type shared struct {
	*Leases
	*Notes
}

func TestFleet(t *testing.T) {
	server := redistest.Start(t)
	relaytest.RunFleet(t, func(t *testing.T) relaytest.Shared {
		db := open(t, at(server, sessionstest.NewMemory().Journal()))
		if err := db.client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return shared{NewLeases(db), NewNotes(db)}
	})
}

// On a Cluster every script must stay within one slot, and a question reach the
// nodes wherever they listen.
func TestFleetOnACluster(t *testing.T) {
	servers := redistest.StartCluster(t, 3)
	relaytest.RunFleet(t, func(t *testing.T) relaytest.Shared {
		db := open(t, Config{Addrs: []string{servers[0].Addr()}, Cluster: true, Journal: sessionstest.NewMemory().Journal()})
		err := db.client.(*redis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
			return c.FlushAll(ctx).Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		return shared{NewLeases(db), NewNotes(db)}
	})
}

// A full server goes on carrying streams.
func TestFleetOnAFullServer(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	db := open(t, at(server, sessionstest.NewMemory().Journal()))
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := db.client.Set(t.Context(), "x", "y", 0).Err(); err == nil {
		t.Fatal("the server is not full")
	}
	relaytest.RunOneHolder(t, shared{NewLeases(db), NewNotes(db)})
}
