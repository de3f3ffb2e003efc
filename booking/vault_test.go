package booking

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func testVault(t *testing.T) *vault {
	t.Helper()
	v, err := newVault(Keys{PepperID: "k", Pepper: bytes.Repeat([]byte{1}, 32), Seal: bytes.Repeat([]byte{2}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestShortKeysAreRefused(t *testing.T) {
	good := bytes.Repeat([]byte{1}, 32)
	for _, k := range []Keys{
		{}, {PepperID: "k", Pepper: good}, {PepperID: "k", Seal: good}, {Pepper: good, Seal: good}, {PepperID: "k", Pepper: good[:16], Seal: good},
		{PepperID: "k", Pepper: good, Seal: good, Others: []Keys{{PepperID: "l", Pepper: good}}},
		{PepperID: "k", Pepper: good, Seal: good, Others: []Keys{{PepperID: "k", Pepper: good, Seal: good}}},
	} {
		if _, err := NewDesk(nil, k, nil, Options{}); err == nil {
			t.Errorf("keys of %d and %d bytes are accepted", len(k.Pepper), len(k.Seal))
		}
	}
}

func TestSec35_SealsAreBoundToTheirBooking(t *testing.T) {
	v := testVault(t)
	a, b := Booking{ID: "a", Tenant: "t"}, Booking{ID: "b", Tenant: "t"}
	sealed := v.seal(a, "BCDFGH")
	if bytes.Contains(sealed, []byte("BCDFGH")) {
		t.Error("sealed in plain")
	}
	if got, err := v.unseal(Record{Booking: a, Sealed: sealed, SealedKey: "k"}); got != "BCDFGH" || err != nil {
		t.Errorf("unsealed %q %v", got, err)
	}
	bad := bytes.Clone(sealed)
	bad[len(bad)-1] ^= 1
	for _, r := range []Record{
		{Booking: b, Sealed: sealed, SealedKey: "k"},
		{Booking: Booking{ID: "a", Tenant: "u"}, Sealed: sealed, SealedKey: "k"},
		{Booking: a, Sealed: bad, SealedKey: "k"},
		{Booking: a, Sealed: sealed, SealedKey: "other"},
		{Booking: a, SealedKey: "k"},
	} {
		if got, err := v.unseal(r); err == nil {
			t.Errorf("unsealed %q for %+v", got, r.Booking)
		}
	}
	if bytes.Equal(v.foldMAC("t", "ab", "c"), v.foldMAC("t", "a", "bc")) || bytes.Equal(v.foldMAC("t", "a", "r"), v.foldMAC("u", "a", "r")) {
		t.Error("different things hash alike")
	}
}

func TestReferencesUseEveryCharacterAlike(t *testing.T) {
	count := map[rune]int{}
	const n = 27 * 400
	for i := range n {
		r := newReference(ReferenceLength)
		if i == 0 {
			if long, ok := ParseReference(newReference(LongReferenceLength)); !ok || len(long) != LongReferenceLength {
				t.Errorf("%q is no long reference", long)
			}
		}
		if parsed, ok := ParseReference(r); !ok || parsed != r {
			t.Fatalf("%q is no reference", r)
		}
		for _, c := range r {
			count[c]++
		}
	}
	want := n * ReferenceLength / len(Digits)
	for _, c := range Digits {
		if got := count[c]; got < want*8/10 || got > want*12/10 {
			t.Errorf("%c comes %d times, about %d were expected", c, got, want)
		}
	}
}

func TestParseReference(t *testing.T) {
	for typed, want := range map[string]string{
		"BCD234": "BCD234", "bcd234": "BCD234", " bcd-234 ": "BCD234", "b c d 2 3 4": "BCD234", "ＢＣＤ２３４": "BCD234",
		"BCD2-345F": "BCD2345F", "BCD2345FG": "",
		"": "", "BCD23": "", "BCD2345": "", "BCD23A": "", "BCD230": "", "BCD231": "", "BCD23Я": "", "BCD23É": "", strings.Repeat(" ", 100) + "BCD234": "",
	} {
		got, ok := ParseReference(typed)
		if got != want || ok != (want != "") {
			t.Errorf("ParseReference(%q) = %q, %v", typed, got, ok)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("bcd-234")
	f.Fuzz(func(t *testing.T, typed string) {
		if r, ok := ParseReference(typed); ok {
			if again, ok := ParseReference(strings.ToLower(r)); !ok || again != r {
				t.Fatalf("%q gives %q, which gives %q", typed, r, again)
			}
		}
	})
}

// Never more than the burst at once, nor than the burst and one a period later.
func TestSec33_RateNeverGivesMore(t *testing.T) {
	r := Rate{Burst: 5, Every: time.Minute}
	var tat time.Time
	allowed := 0
	for s := range 3600 {
		for range 3 {
			next, wait := r.spend(tat, at(0).Add(time.Duration(s)*time.Second))
			if wait > 0 {
				continue
			}
			tat = next
			allowed++
		}
		if most := 5 + s/60; allowed > most {
			t.Fatalf("%d tries after %d s, %d are allowed", allowed, s, most)
		}
	}
	if allowed != 5+3599/60 {
		t.Errorf("%d tries in an hour", allowed)
	}
}

func TestNetworkOfAnAddress(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64",
		"2001:db8::ffff:1%eth0": "2001:db8::/64", "": "", "pipe": "pipe",
	} {
		if got := network(address); got != want {
			t.Errorf("network(%q) = %q, want %q", address, got, want)
		}
	}
}
