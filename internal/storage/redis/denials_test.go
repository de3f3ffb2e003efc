package redis

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/relay/relaytest"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

func TestDenials(t *testing.T) {
	server, db := redistest.Start(t), openJournal(t)
	for name, journal := range map[string]func(*testing.T) DenialJournal{
		"alone": func(*testing.T) DenialJournal { return nil },
		"with journal": func(t *testing.T) DenialJournal {
			err := db.Update(t.Context(), func(tx *sqlite.Tx) error {
				_, err := tx.Exec(`DELETE FROM denials`)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return sqlite.NewDenials(db)
		},
	} {
		t.Run(name, func(t *testing.T) {
			relaytest.Run(t, func(t *testing.T) relay.Denials {
				c := at(server, sessionstest.NewMemory().Journal())
				c.Denials = journal(t)
				db := open(t, c)
				if err := db.client.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				return NewDenials(db)
			})
		})
	}
}

func denialJournal(t *testing.T) DenialJournal {
	t.Helper()
	return sqlite.NewDenials(openJournal(t))
}

func openJournal(t *testing.T) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir()+"/lodge.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func denied(t *testing.T, d *Denials, tenant lodge.Tenant, key relay.DenialKey) bool {
	t.Helper()
	found, err := d.Denied(t.Context(), tenant, sessionstest.Base, key)
	if err != nil {
		t.Fatal(err)
	}
	return len(found) > 0
}

// A server that comes back without its last writes has the denials applied before
// anything is asked of it, on every node of a Cluster.
func TestSec23_DenialSurvivesAServerThatForgets(t *testing.T) {
	server := redistest.Start(t)
	c := at(server, sessionstest.NewMemory().Journal())
	c.Denials = denialJournal(t)
	db := open(t, c)
	d := NewDenials(db)
	key, end := relay.BookingKey("b1"), sessionstest.Base.Add(time.Hour)
	if err := db.client.Save(t.Context()).Err(); err != nil { // the older copy
		t.Fatal(err)
	}
	if err := d.Deny(t.Context(), "t1", key, end, sessionstest.Base); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if found, err := d.Denied(t.Context(), "t1", sessionstest.Base, key); err == nil {
		t.Fatalf("a dead server answered %v", found)
	}
	server.Restart()
	eventually(t, func() error { return db.Ping(t.Context()) })
	if !denied(t, d, "t1", key) {
		t.Error("the denial is forgotten")
	}
	if denied(t, d, "t2", key) {
		t.Error("the denial is in another tenant")
	}
}

func TestSec23_FullServerStillDenies(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	db := open(t, at(server, sessionstest.NewMemory().Journal()))
	if err := db.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	d := NewDenials(db)
	if err := d.Deny(t.Context(), "t1", relay.BookingKey("b1"), sessionstest.Base.Add(time.Hour), sessionstest.Base); err != nil {
		t.Fatalf("a full server: %v", err)
	}
	if !denied(t, d, "t1", relay.BookingKey("b1")) {
		t.Error("not denied")
	}
}

func TestDenialsOnACluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 2)
	journal := denialJournal(t)
	key, end := relay.BookingKey("b1"), sessionstest.Base.Add(time.Hour)
	tenants := []lodge.Tenant{"a", "b", "c", "d", "e", "f", "g", "h"} // enough for both nodes
	for _, tenant := range tenants {
		if err := journal.Deny(t.Context(), tenant, key, end, sessionstest.Base); err != nil {
			t.Fatal(err)
		}
	}
	d := NewDenials(open(t, Config{
		Addrs: []string{nodes[0].Addr()}, Cluster: true, Journal: sessionstest.NewMemory().Journal(), Denials: journal,
	}))
	for _, tenant := range tenants {
		if !denied(t, d, tenant, key) {
			t.Errorf("tenant %s: the journal's denial did not arrive", tenant)
		}
		if err := d.Allow(t.Context(), tenant, key, end, sessionstest.Base); err != nil {
			t.Fatal(err)
		}
		if denied(t, d, tenant, key) {
			t.Errorf("tenant %s: allowed, and denied still", tenant)
		}
	}
}
