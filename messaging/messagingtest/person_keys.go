package messagingtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// PersonKeys is the conformance suite of messaging.PersonKeys. open returns nodes
// of one new, empty store.
func PersonKeys(t *testing.T, open func(t *testing.T, nodes int) []messaging.PersonKeys) {
	t.Run("a key is made once and kept", func(t *testing.T) {
		nodes := open(t, 2)
		key := keyOf(t, nodes[0], "t1", "p")
		if len(key) != 32 || bytes.Equal(key, make([]byte, 32)) {
			t.Fatalf("a key of %d bytes: %x", len(key), key)
		}
		if again := keyOf(t, nodes[1], "t1", "p"); !bytes.Equal(again, key) {
			t.Error("another node has another key")
		}
		others := [][]byte{key, keyOf(t, nodes[0], "t1", "q"), keyOf(t, nodes[0], "t2", "p"), keyOf(t, nodes[0], "t1", "")}
		for i, one := range others {
			for _, two := range others[:i] {
				if bytes.Equal(one, two) {
					t.Error("two have one key")
				}
			}
		}
	})

	t.Run("of those who race to make it all get the same", func(t *testing.T) {
		nodes := open(t, 3)
		keys := make([][]byte, 24)
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() {
				var err error
				if keys[i], err = nodes[i%len(nodes)].Key(t.Context(), "t1", "p"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, key := range keys[1:] {
			if !bytes.Equal(key, keys[0]) {
				t.Fatal("there are two keys")
			}
		}
	})

	t.Run("many at once, without the erased and those never made", func(t *testing.T) {
		nodes := open(t, 2)
		var people []lodge.PersonID
		for i := range 1200 {
			people = append(people, lodge.PersonID(fmt.Sprint("p", i)))
		}
		made, err := messaging.EnsureKeys(t.Context(), nodes[0], "t1", people[:1100])
		if err != nil || len(made) != 1100 {
			t.Fatalf("made %d keys, %v", len(made), err)
		}
		erase(t, nodes[1], "t1", people[3])
		found, err := nodes[1].Keys(t.Context(), "t1", append(people, people[0]))
		if err != nil || len(found) != 1099 || found[people[3]] != nil || found[people[1150]] != nil {
			t.Fatalf("found %d keys, %v", len(found), err)
		}
		for person, key := range found {
			if !bytes.Equal(key, made[person]) {
				t.Fatalf("%s has another key", person)
			}
		}
		if other, err := nodes[0].Keys(t.Context(), "t2", people); err != nil || len(other) != 0 {
			t.Errorf("another tenant has %d of them, %v", len(other), err)
		}
		if none, err := nodes[0].Keys(t.Context(), "t1", nil); err != nil || len(none) != 0 {
			t.Errorf("of nobody: %d, %v", len(none), err)
		}
	})

	t.Run("what is erased stays erased", func(t *testing.T) {
		nodes := open(t, 2)
		key := keyOf(t, nodes[0], "t2", "p")
		keyOf(t, nodes[0], "t1", "p")
		for range 2 {
			erase(t, nodes[0], "t1", "p")
			erase(t, nodes[0], "t1", "never there")
		}
		for _, person := range []lodge.PersonID{"p", "never there"} {
			for _, node := range nodes {
				if got, err := node.Key(t.Context(), "t1", person); !errors.Is(err, messaging.ErrErased) || got != nil {
					t.Errorf("%s: %x, %v; want ErrErased", person, got, err)
				}
			}
		}
		if found, err := nodes[1].Keys(t.Context(), "t1", []lodge.PersonID{"p", "never there"}); err != nil || len(found) != 0 {
			t.Errorf("found %d keys, %v", len(found), err)
		}
		if again := keyOf(t, nodes[1], "t2", "p"); !bytes.Equal(again, key) {
			t.Error("the same id of another tenant lost its key")
		}
	})

	t.Run("a context that has ended does nothing", func(t *testing.T) {
		keys := open(t, 1)[0]
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := keys.Key(ctx, "t1", "p")
		_, some := keys.Keys(ctx, "t1", []lodge.PersonID{"p"})
		for _, err := range []error{err, some, keys.Erase(ctx, "t1", "p")} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want context.Canceled", err)
			}
		}
		keyOf(t, keys, "t1", "p")
	})
}

func keyOf(t *testing.T, keys messaging.PersonKeys, tenant lodge.Tenant, person lodge.PersonID) []byte {
	t.Helper()
	key, err := keys.Key(t.Context(), tenant, person)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func erase(t *testing.T, keys messaging.PersonKeys, tenant lodge.Tenant, person lodge.PersonID) {
	t.Helper()
	if err := keys.Erase(t.Context(), tenant, person); err != nil {
		t.Fatal(err)
	}
}
