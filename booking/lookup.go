package booking

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/lodge-gateway/lodge"
)

// A Rate allows Burst tries at once and one more every Every.
type Rate struct {
	Burst int
	Every time.Duration
}

// LookupLimits bound the lookups that miss; those that hit are free. With N live
// references, guesses at one surname hit about N/27⁶ of the time.
type LookupLimits struct {
	Surname Rate // per tenant and surname; default 10 and one an hour
	Address Rate // per tenant and address (IPv6: per /64); default 60 and one in ten seconds
	Overall Rate // per tenant; default 600 and one a second
	Links   Rate // mailed links asked for, per tenant and address; default 20 and one a minute
}

func (l LookupLimits) withDefaults() LookupLimits {
	for _, r := range []struct {
		rate *Rate
		or   Rate
	}{
		{&l.Surname, Rate{10, time.Hour}},
		{&l.Address, Rate{60, 10 * time.Second}},
		{&l.Overall, Rate{600, time.Second}},
		{&l.Links, Rate{20, time.Minute}},
	} {
		if r.rate.Burst <= 0 || r.rate.Every <= 0 {
			*r.rate = r.or
		}
	}
	return l
}

// spend returns the arrival time to store if a try is allowed at now, else how
// long to wait (the generic cell rate algorithm).
func (r Rate) spend(at, now time.Time) (next time.Time, wait time.Duration) {
	if at.Before(now) {
		at = now
	}
	next = at.Add(r.Every)
	return next, next.Sub(now) - r.Every*time.Duration(r.Burst)
}

// ParseReference brings a reference, as people type it, into its stored form. It
// reports whether it is a possible one.
func ParseReference(typed string) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	s := strings.Map(func(r rune) rune {
		if separates(r) || r == '\'' {
			return -1
		}
		return r
	}, strings.ToUpper(norm.NFKC.String(typed)))
	if len(s) != ReferenceLength && len(s) != LongReferenceLength || strings.Trim(s, Digits) != "" {
		return "", false
	}
	return s, true
}

// Lookup finds a booking by surname and reference. Every miss is answered alike,
// after the same work: an unknown reference, another person's, one whose message
// period is over. A reference that cannot be one is CodeRefused and no try. Tries
// over a limit are CodeTooMany with RetryAfter, whatever they would have found;
// the limits are kept in the store.
func (d *Desk) Lookup(ctx context.Context, t lodge.Tenant, surname, reference, address string) (Booking, error) {
	fold, ref, err := typed(surname, reference)
	if err != nil {
		return Booking{}, err
	}
	l := lookup{
		desk: d, tenant: t, folds: d.vault.foldMACs(t, fold, ref), now: d.now(),
		tries: []try{
			{d.vault.mac("try-surname", string(t), fold), d.opts.Lookup.Surname},
			{d.vault.mac("try-address", string(t), network(address)), d.opts.Lookup.Address},
			{d.vault.mac("try-overall", string(t)), d.opts.Lookup.Overall},
		},
	}
	var b Booking
	var found bool
	err = d.store.Update(ctx, func(tx Tx) (err error) {
		b, found, err = l.run(tx)
		return err
	})
	switch {
	case err != nil:
		return Booking{}, outward(err)
	case !found:
		return Booking{}, Missed()
	}
	return d.seen(b), nil
}

// typed reads a surname and a reference as people type them: the surname's fold
// and the reference. What cannot be one is CodeRefused.
func typed(surname, reference string) (fold, ref string, err error) {
	ref, ok := ParseReference(reference)
	if !ok {
		return "", "", refuse("reference", nil, "A reference has six characters, or eight, out of "+Digits+"; check it and try again.").problem(nil)
	}
	if len(surname) > maxSurname || !utf8.ValidString(surname) {
		surname = ""
	}
	if fold = Fold(surname); fold == "" {
		return "", "", refuse("surname", nil, "Type the surname that the booking was made for.").problem(nil)
	}
	return fold, ref, nil
}

// Missed is the one answer to every lookup that misses.
func Missed() error {
	return lodge.E(lodge.CodeNotFound, "No booking goes with that surname and reference; check both and try again.")
}

// network returns what an address is counted under.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap(); a.Is4() {
		return a.String()
	}
	// The zone is dropped, and a prefix of 64 bits always fits an IPv6 address.
	return netip.PrefixFrom(a.WithZone(""), 64).Masked().String()
}

// A try is one limit that a lookup counts against.
type try struct {
	key  []byte
	rate Rate
}

type lookup struct {
	desk   *Desk
	tenant lodge.Tenant
	folds  [][]byte // under each key that is accepted
	now    time.Time
	tries  []try
}

// run is the transaction of a lookup: a miss and its count are one step, so that
// parallel guesses cannot slip past a limit.
func (l lookup) run(tx Tx) (Booking, bool, error) {
	next, err := l.allowed(tx)
	if err != nil {
		return Booking{}, false, err
	}
	b, found, err := l.find(tx)
	if err != nil || found {
		return b, found, err
	}
	return Booking{}, false, l.count(tx, next)
}

// allowed returns the arrival times to store for one more try, or CodeTooMany.
func (l lookup) allowed(tx Tx) ([]time.Time, error) {
	next := make([]time.Time, len(l.tries))
	var wait time.Duration
	for i, c := range l.tries {
		at, err := tx.Rate(l.tenant, c.key)
		if err != nil {
			return nil, err
		}
		var w time.Duration
		next[i], w = c.rate.spend(at, l.now)
		wait = max(wait, w)
	}
	if wait > 0 {
		e := lodge.E(lodge.CodeTooMany, "There were too many tries; wait a while, or sign in.")
		e.RetryAfter = wait
		return nil, e
	}
	return next, nil
}

func (l lookup) count(tx Tx, next []time.Time) error {
	for i, c := range l.tries {
		if err := tx.SetRate(l.tenant, c.key, next[i]); err != nil {
			return err
		}
	}
	return nil
}

// spend counts a try whatever it finds.
func (l lookup) spend(tx Tx) error {
	next, err := l.allowed(tx)
	if err != nil {
		return err
	}
	return l.count(tx, next)
}

// find returns the booking that a fold belongs to, until its message period is
// over, if its policy lets it be found. A fold that is not there costs the same reads as one that is.
func (l lookup) find(tx Tx) (Booking, bool, error) {
	id := ""
	for _, fold := range l.folds {
		found, err := tx.FindFold(l.tenant, fold)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return Booking{}, false, err
		}
		id = cmp.Or(id, found)
	}
	snap, err := l.desk.snapshot(tx, l.tenant)
	if err != nil {
		return Booking{}, false, err
	}
	rec, err := tx.Booking(l.tenant, id)
	if errors.Is(err, ErrUnknown) {
		return Booking{}, false, nil
	}
	return rec.Booking, err == nil && l.now.Before(l.desk.MessagesUntil(rec.Booking)) && snap.cat.Policies[rec.Policy].visible(), err
}
