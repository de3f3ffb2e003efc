package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// On a Cluster every script must stay within one slot, and a tenant's journal
// must find the node that has the tenant.
func TestSessionsOnACluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	config := func(j Journal) Config { return Config{Addrs: []string{nodes[0].Addr()}, Cluster: true, Journal: j} }

	t.Run("Conformance", func(t *testing.T) {
		sessionstest.Run(t, func(t *testing.T) sessionstest.Backend {
			db := open(t, config(sessionstest.NewMemory().Journal()))
			err := db.client.(*redis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
				return c.FlushAll(ctx).Err()
			})
			if err != nil {
				t.Fatal(err)
			}
			return sessionstest.Backend{Store: NewSessions(db), Signals: NewSignals(db)}
		})
	})

	t.Run("JournalReachesEveryTenant", func(t *testing.T) {
		journal := sessionstest.NewMemory().Journal()
		before := NewSessions(open(t, config(journal)))
		for i := range 16 { // enough tenants for every node
			s := sessionstest.Example(lodge.Tenant(fmt.Sprint("tenant-", i)), "journal")
			if err := before.Create(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			err := journal.Record(t.Context(), sessions.Revocation{Tenant: s.Tenant, ID: s.ID, At: sessionstest.Base, Reason: "cancelled", End: s.End()})
			if err != nil {
				t.Fatal(err)
			}
		}
		after := NewSessions(open(t, config(journal)))
		for i := range 16 {
			tenant := lodge.Tenant(fmt.Sprint("tenant-", i))
			found, err := after.Get(t.Context(), tenant, []sessions.ID{sessionstest.IDOf("journal")})
			if err != nil {
				t.Fatal(err)
			}
			if s := found[sessionstest.IDOf("journal")]; s.State(sessionstest.Base) != sessions.Revoked {
				t.Errorf("%s: the session is %s", tenant, s.State(sessionstest.Base))
			}
		}
		// A relay without the database finds the marks, wherever they live.
		relay := NewSessions(open(t, config(nil)))
		for i := range 16 {
			if _, err := relay.Get(t.Context(), lodge.Tenant(fmt.Sprint("tenant-", i)), []sessions.ID{sessionstest.IDOf("journal")}); err != nil {
				t.Errorf("relay: %v (untrusted: %v)", err, errors.Is(err, ErrUntrusted))
			}
		}
	})
}
