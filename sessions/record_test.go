package sessions

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
)

// anySession draws a session as it can be stored.
func anySession(t *rapid.T) Session {
	text := func(label string) string { return rapid.String().Draw(t, label) }
	texts := func(label string) []string {
		list := rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, label)
		if len(list) == 0 {
			return nil
		}
		return list
	}
	when := func(label string) time.Time {
		us := rapid.Int64Range(-1<<50, 1<<50).Draw(t, label)
		if us == 0 {
			return time.Time{}
		}
		return time.UnixMicro(us).UTC()
	}
	s := Session{
		ID: ID(text("id")), Tenant: lodge.Tenant(text("tenant")), Kind: Kind(text("kind")), Version: rapid.Uint64().Draw(t, "version"),
		Person: lodge.PersonID(text("person")), Name: text("name"), Groups: texts("groups"), Booking: text("booking"),
		Experiment: text("experiment"), Scopes: texts("scopes"), Issuer: text("issuer"), Subject: text("sub"), IdPSession: text("sid"),
		Device: text("device"), Address: text("address"), Reason: text("reason"),
		CreatedAt: when("created"), SeenAt: when("seen"), NotBefore: when("from"), ExpiresAt: when("until"),
		MessagesUntil: when("messages"), RevokedAt: when("revoked"), AuthenticatedAt: when("authenticated"),
		IdleAfter: time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "idle")) * time.Microsecond,
	}
	for _, scope := range texts("bindings") {
		s.Bindings = append(s.Bindings, lodge.Binding{Role: lodge.RoleViewer, Scope: lodge.Scope(scope)})
	}
	if data := rapid.SliceOf(rapid.Byte()).Draw(t, "data"); len(data) > 0 {
		s.Data = data
	}
	return s
}

func TestRecordKeepsEverySession(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySession(t)
		got, err := ParseRecord(AppendRecord(nil, &s))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, s) {
			t.Fatalf("got  %+v\nwant %+v", got, s)
		}
	})
}

// A field that is added to Session and forgotten in the record would be lost
// silently.
func TestRecordKnowsEveryField(t *testing.T) {
	if n := reflect.TypeFor[Session]().NumField(); n != 26 {
		t.Fatalf("Session has %d fields: bring record.go, its tests and this number up to date", n)
	}
}

func TestCutRecordIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySession(t)
		record := AppendRecord(nil, &s)
		cut := rapid.IntRange(0, len(record)-1).Draw(t, "cut")
		if _, err := ParseRecord(record[:cut]); !errors.Is(err, ErrRecord) {
			t.Fatalf("cut at %d of %d: %v", cut, len(record), err)
		}
		if _, err := ParseRecord(append(record, 0)); !errors.Is(err, ErrRecord) {
			t.Fatalf("a byte too many: %v", err)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	s := Session{ID: "id", Tenant: "t", Kind: Login, Version: 3, Groups: []string{"g"}, ExpiresAt: time.UnixMicro(12345).UTC(), Data: []byte{1}}
	f.Add(AppendRecord(nil, &s))
	f.Add([]byte{})
	f.Add(make([]byte, RecordHeader))
	f.Add([]byte{RecordFormat, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseRecord(b)
		if err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Fatalf("error %v does not wrap ErrRecord", err)
			}
			return
		}
		again, err := ParseRecord(AppendRecord(nil, &s))
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("written again: %+v, %v\nwas %+v", again, err, s)
		}
	})
}

func FuzzValuesDecode(f *testing.F) {
	b, err := valuesCodec{}.Encode(time.UnixMicro(99), map[string]any{"flow": []byte("state"), "x": []byte{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("12345678"))
	f.Fuzz(func(t *testing.T, b []byte) {
		deadline, values, err := valuesCodec{}.Decode(b)
		if err != nil || len(b) > maxValues {
			return
		}
		again, err := valuesCodec{}.Encode(deadline, values)
		if err != nil {
			t.Fatal(err)
		}
		d, v, err := valuesCodec{}.Decode(again)
		if err != nil || !d.Equal(deadline) || !reflect.DeepEqual(v, values) {
			t.Fatalf("written again: %v %v %v", d, v, err)
		}
	})
}

// What was stored before a session's Subject was kept, and before its
// AuthenticatedAt was, is still read.
func TestRecordsOfOlderFormats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anySession(t)
		want.AuthenticatedAt, want.IdleAfter, want.Data = time.Time{}, 0, nil
		record := AppendRecord(nil, &want)
		// A zero AuthenticatedAt is a 0 before those of IdleAfter and Data.
		second := slices.Delete(slices.Clone(record), len(record)-3, len(record)-2)
		second[0] = 2
		if got, err := ParseRecord(second); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, %v\nwant %+v", got, err, want)
		}

		want.Subject, want.Issuer = "", "issuer"
		record = AppendRecord(nil, &want)
		// The empty Subject stands behind the Issuer, as a length of 0.
		at := bytes.Index(record, []byte("\x06issuer\x00")) + len("\x06issuer")
		old := slices.Delete(record, at, at+1)
		old = slices.Delete(old, len(old)-3, len(old)-2)
		old[0] = 1
		if got, err := ParseRecord(old); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, %v\nwant %+v", got, err, want)
		}
	})
}
