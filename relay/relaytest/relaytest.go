// Package relaytest holds every store of the relay to its contract: Run that of
// relay.Denials, RunFleet that of what the nodes of a fleet share. Memory is such a
// store within one process, with ends that a test can cut off.
package relaytest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// Base is the time at which the suite begins.
var Base = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Run runs the suite. open returns an empty store that lasts as long as the
// test it is given.
func Run(t *testing.T, open func(t *testing.T) relay.Denials) {
	for name, test := range map[string]func(*testing.T, relay.Denials){
		"nothing is denied at first":   nothingAtFirst,
		"a denial lasts until its end": lastsUntilItsEnd,
		"allowing undoes":              allowUndoes,
		"denying again never shortens": neverShorter,
		"the last word counts":         lastWord,
		"tenants are apart":            tenantsApart,
		"many keys in one question":    manyKeys,
		"odd names":                    oddNames,
		"a change is seen at once":     seenAtOnce,
		"long ends":                    longEnds,
		"what has ended is forgotten":  forgotten,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const tenant lodge.Tenant = "t1"

func key(i int) relay.DenialKey { return relay.BookingKey(fmt.Sprintf("b%03d", i)) }

func deny(t *testing.T, d relay.Denials, k relay.DenialKey, until, now time.Time) {
	t.Helper()
	if err := d.Deny(t.Context(), tenant, k, until, now); err != nil {
		t.Fatal(err)
	}
}

func allow(t *testing.T, d relay.Denials, k relay.DenialKey, until, now time.Time) {
	t.Helper()
	if err := d.Allow(t.Context(), tenant, k, until, now); err != nil {
		t.Fatal(err)
	}
}

// check asks for keys and compares, without regard to order.
func check(t *testing.T, d relay.Denials, tenant lodge.Tenant, now time.Time, asked, want []relay.DenialKey) {
	t.Helper()
	got, err := d.Denied(t.Context(), tenant, now, asked...)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("denied %q, want %q", got, want)
	}
}

func list(t *testing.T, d relay.Denials, tenant lodge.Tenant, now time.Time, denied, allowed []relay.DenialKey) {
	t.Helper()
	gotDenied, gotAllowed, err := d.List(t.Context(), tenant, now)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(gotDenied, denied) || !slices.Equal(gotAllowed, allowed) {
		t.Errorf("listed as denied %q, allowed %q; want %q, %q", gotDenied, gotAllowed, denied, allowed)
	}
}

type keys = []relay.DenialKey

func nothingAtFirst(t *testing.T, d relay.Denials) {
	check(t, d, tenant, Base, keys{key(1), relay.TokenKey("x")}, nil)
	check(t, d, tenant, Base, nil, nil)
	list(t, d, tenant, Base, nil, nil)
}

func lastsUntilItsEnd(t *testing.T, d relay.Denials) {
	end := Base.Add(time.Minute)
	deny(t, d, key(1), end, Base)
	check(t, d, tenant, Base, keys{key(1), key(2)}, keys{key(1)})
	check(t, d, tenant, end.Add(-time.Millisecond), keys{key(1)}, keys{key(1)})
	check(t, d, tenant, end, keys{key(1)}, nil)
	list(t, d, tenant, end.Add(-time.Millisecond), keys{key(1)}, nil)
	list(t, d, tenant, end, nil, nil)
	deny(t, d, key(2), Base.Add(-time.Second), Base) // already over
	check(t, d, tenant, Base, keys{key(2)}, nil)
}

func allowUndoes(t *testing.T, d relay.Denials) {
	end := Base.Add(time.Hour)
	deny(t, d, key(1), end, Base)
	deny(t, d, key(2), end, Base)
	allow(t, d, key(1), end, Base)
	check(t, d, tenant, Base, keys{key(1), key(2)}, keys{key(2)})
	list(t, d, tenant, Base, keys{key(2)}, keys{key(1)})
	allow(t, d, key(1), end, Base) // again
	allow(t, d, key(3), end, Base) // never denied
	list(t, d, tenant, Base, keys{key(2)}, keys{key(1), key(3)})
	list(t, d, tenant, end, nil, nil)
}

func neverShorter(t *testing.T, d relay.Denials) {
	end := Base.Add(time.Hour)
	deny(t, d, key(1), end, Base)
	deny(t, d, key(1), Base.Add(time.Minute), Base)
	check(t, d, tenant, end.Add(-time.Second), keys{key(1)}, keys{key(1)})
	deny(t, d, key(1), end.Add(time.Hour), Base)
	check(t, d, tenant, end.Add(time.Minute), keys{key(1)}, keys{key(1)})
}

func lastWord(t *testing.T, d relay.Denials) {
	long, short := Base.Add(time.Hour), Base.Add(time.Minute)
	deny(t, d, key(1), long, Base)
	allow(t, d, key(1), long, Base)
	deny(t, d, key(1), short, Base)
	list(t, d, tenant, Base, keys{key(1)}, nil)
	check(t, d, tenant, short, keys{key(1)}, nil) // the first denial is gone
	allow(t, d, key(1), short, Base)
	list(t, d, tenant, Base, nil, keys{key(1)})
	// An allowance that is over neither denies nor is listed.
	list(t, d, tenant, short, nil, nil)
	check(t, d, tenant, short, keys{key(1)}, nil)
}

func tenantsApart(t *testing.T, d relay.Denials) {
	deny(t, d, key(1), Base.Add(time.Hour), Base)
	check(t, d, "t2", Base, keys{key(1)}, nil)
	list(t, d, "t2", Base, nil, nil)
	if err := d.Allow(t.Context(), "t2", key(1), Base.Add(time.Hour), Base); err != nil {
		t.Fatal(err)
	}
	check(t, d, tenant, Base, keys{key(1)}, keys{key(1)})
}

func manyKeys(t *testing.T, d relay.Denials) {
	var all, want keys
	for i := range 100 {
		all = append(all, key(i))
		if i%3 == 0 {
			want = append(want, key(i))
			deny(t, d, key(i), Base.Add(time.Hour), Base)
		}
	}
	check(t, d, tenant, Base, all, want)
	list(t, d, tenant, Base, want, nil)
}

func oddNames(t *testing.T, d relay.Denials) {
	names := keys{
		relay.BookingKey(" "), relay.BookingKey("'; DROP TABLE denials; --"), relay.BookingKey("{t1}:x"), relay.BookingKey("böok/1?&=%00"),
		relay.BookingKey("same"), relay.TokenKey("same"), relay.BookingKey("[1]\"\\"),
	}
	for _, k := range names {
		check(t, d, tenant, Base, names, nil)
		deny(t, d, k, Base.Add(time.Hour), Base)
		check(t, d, tenant, Base, names, keys{k})
		allow(t, d, k, Base.Add(time.Hour), Base)
	}
}

func seenAtOnce(t *testing.T, d relay.Denials) {
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			k := key(i)
			for round := range 5 {
				if err := d.Deny(t.Context(), tenant, k, Base.Add(time.Hour), Base); err != nil {
					t.Error(err)
					return
				}
				if got, err := d.Denied(t.Context(), tenant, Base, k); err != nil || len(got) != 1 {
					t.Errorf("round %d: after a denial: %q, %v", round, got, err)
				}
				if err := d.Allow(t.Context(), tenant, k, Base.Add(time.Hour), Base); err != nil {
					t.Error(err)
					return
				}
				if got, err := d.Denied(t.Context(), tenant, Base, k); err != nil || len(got) != 0 {
					t.Errorf("round %d: after an allowance: %q, %v", round, got, err)
				}
			}
		})
	}
	wg.Wait()
}

func longEnds(t *testing.T, d relay.Denials) {
	end := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Add(time.Minute)
	deny(t, d, key(1), end, Base)
	check(t, d, tenant, end.Add(-time.Hour), keys{key(1)}, keys{key(1)})
	check(t, d, tenant, end, keys{key(1)}, nil)
}

// Whoever asks with a clock that is late still finds what was denied not long ago.
func forgotten(t *testing.T, d relay.Denials) {
	deny(t, d, key(1), Base, Base.Add(-time.Minute))
	allow(t, d, key(2), Base, Base.Add(-time.Minute))
	for _, later := range []struct {
		now  time.Time
		want keys
	}{
		{Base.Add(relay.DenialsKept - time.Second), keys{key(1)}},
		{Base.Add(relay.DenialsKept + time.Second), nil},
	} {
		deny(t, d, key(3), later.now.Add(-time.Second), later.now) // a change is when a store may clear up
		if later.want != nil {
			check(t, d, tenant, Base.Add(-time.Second), keys{key(1)}, later.want)
		}
		list(t, d, tenant, later.now, nil, nil)
	}
}
