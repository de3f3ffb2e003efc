package redis

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// A password that is changed at the server and in its file counts at the next
// connection; the connections that are open go on.
func TestSec43_PasswordIsAskedForAtEachConnection(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "one")
	var password atomic.Value
	password.Store("one")
	config := at(server, sessionstest.NewMemory().Journal())
	config.Credentials = func(context.Context) (string, string, error) { return "", password.Load().(string), nil }
	db := open(t, config)
	ping := func(what string, good bool) {
		t.Helper()
		if err := db.Ping(t.Context()); (err == nil) != good {
			t.Errorf("%s: %v", what, err)
		}
	}
	ping("with the password", true)
	if err := db.client.ConfigSet(t.Context(), "requirepass", "two").Err(); err != nil {
		t.Fatal(err)
	}
	ping("on a connection that is open", true)
	cut := func() {
		t.Helper()
		if err := db.client.Do(t.Context(), "client", "kill", "type", "normal", "skipme", "no").Err(); err != nil {
			t.Fatal(err)
		}
	}
	cut()
	ping("on a new one, with the old password", false)
	password.Store("two")
	ping("with the new one", true)
	cut()
	ping("and again", true)
}
