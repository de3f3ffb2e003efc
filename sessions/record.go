package sessions

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge"
)

// The stored form of a session, shared by all stores. It starts with a header of
// fixed size, which a store may look at without decoding the rest (in a Lua
// script, say):
//
//	byte 0      RecordFormat
//	byte 1      1 if the session is revoked, else 0
//	bytes 2–9   Version, big endian
//
// Behind it come the fields in the order of appendRecord: texts and bytes with
// their length before them, times as signed microseconds since 1970 with 0 for
// the zero time, all numbers as varints. Tenant and ID are part of the record so
// that one that is found in the wrong place is noticed. Nothing writes the older
// formats any more: records of format 1 lack the Subject, those of formats 1 and 2
// AuthenticatedAt.
const (
	RecordFormat   = 3
	RecordRevoked  = 1  // offset of the byte that is 1 for a revoked session
	RecordVersion  = 2  // offset of the version
	RecordHeader   = 10 // length of the header
	maxRecordItems = 10_000
)

// ErrRecord is wrapped by what ParseRecord returns for bytes that are no record.
var ErrRecord = errors.New("sessions: not a session record")

// AppendRecord appends the stored form of a session to dst.
func AppendRecord(dst []byte, s *Session) []byte {
	var revoked byte
	if !s.RevokedAt.IsZero() {
		revoked = 1
	}
	dst = append(dst, RecordFormat, revoked)
	dst = binary.BigEndian.AppendUint64(dst, s.Version)
	for _, text := range []string{
		string(s.ID), string(s.Tenant), string(s.Kind), string(s.Person), s.Name, s.Booking, s.Experiment,
		s.Issuer, s.Subject, s.IdPSession, s.Device, s.Address, s.Reason,
	} {
		dst = appendText(dst, text)
	}
	dst = appendTexts(dst, s.Groups)
	dst = appendTexts(dst, s.Scopes)
	dst = binary.AppendUvarint(dst, uint64(len(s.Bindings)))
	for _, b := range s.Bindings {
		dst = appendText(appendText(dst, string(b.Role)), string(b.Scope))
	}
	for _, t := range []time.Time{s.CreatedAt, s.SeenAt, s.NotBefore, s.ExpiresAt, s.MessagesUntil, s.RevokedAt, s.AuthenticatedAt} {
		dst = appendTime(dst, t)
	}
	dst = binary.AppendVarint(dst, s.IdleAfter.Microseconds())
	return appendText(dst, string(s.Data))
}

// ParseRecord reads what AppendRecord wrote. Bytes that it did not write give an
// error that wraps ErrRecord, never a panic and never a large allocation.
func ParseRecord[B ~[]byte | ~string](b B) (Session, error) {
	if len(b) < RecordHeader || b[0] == 0 || b[0] > RecordFormat || b[RecordRevoked] > 1 {
		return Session{}, fmt.Errorf("%w: no header of format %d", ErrRecord, RecordFormat)
	}
	s := Session{Version: binary.BigEndian.Uint64([]byte(b[RecordVersion:RecordHeader]))}
	r := recordReader{b: string(b[RecordHeader:])}
	s.ID = ID(r.text())
	s.Tenant = lodge.Tenant(r.text())
	s.Kind = Kind(r.text())
	s.Person = lodge.PersonID(r.text())
	for _, text := range []*string{&s.Name, &s.Booking, &s.Experiment, &s.Issuer, &s.Subject, &s.IdPSession, &s.Device, &s.Address, &s.Reason} {
		if text != &s.Subject || b[0] > 1 {
			*text = r.text()
		}
	}
	s.Groups = r.texts()
	s.Scopes = r.texts()
	if n := r.count(); n > 0 {
		s.Bindings = make([]lodge.Binding, 0, n)
		for range n {
			s.Bindings = append(s.Bindings, lodge.Binding{Role: lodge.Role(r.text()), Scope: lodge.Scope(r.text())})
		}
	}
	for _, t := range []*time.Time{&s.CreatedAt, &s.SeenAt, &s.NotBefore, &s.ExpiresAt, &s.MessagesUntil, &s.RevokedAt, &s.AuthenticatedAt} {
		if t != &s.AuthenticatedAt || b[0] > 2 {
			*t = r.time()
		}
	}
	s.IdleAfter = r.duration()
	if data := r.text(); data != "" {
		s.Data = []byte(data)
	}
	switch {
	case r.bad:
		return Session{}, fmt.Errorf("%w: cut short or out of range", ErrRecord)
	case len(r.b) > 0:
		return Session{}, fmt.Errorf("%w: %d bytes too many", ErrRecord, len(r.b))
	case s.RevokedAt.IsZero() == (b[RecordRevoked] == 1):
		return Session{}, fmt.Errorf("%w: header and time of revocation disagree", ErrRecord)
	}
	return s, nil
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendTexts(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = appendText(dst, s)
	}
	return dst
}

func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, 0)
	}
	return binary.AppendVarint(dst, t.UnixMicro())
}

// A recordReader reads fields off b. After the first that is not there it is bad
// and returns zero values. The texts it returns are parts of b: reading a session
// is part of every request, and so makes no copies.
type recordReader struct {
	b   string
	bad bool
}

func (r *recordReader) fail() {
	r.b, r.bad = "", true
}

// uvarint is binary.Uvarint on a string.
func (r *recordReader) uvarint() uint64 {
	var v uint64
	for i := range min(len(r.b), binary.MaxVarintLen64) {
		c := r.b[i]
		if c < 0x80 {
			if i == binary.MaxVarintLen64-1 && c > 1 {
				break // more than 64 bits
			}
			r.b = r.b[i+1:]
			return v | uint64(c)<<(7*i)
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	r.fail()
	return 0
}

// varint is binary.Varint on a string.
func (r *recordReader) varint() int64 {
	u := r.uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

func (r *recordReader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

// count reads the length of a list. Each item takes a byte at least, which
// bounds what a forged length can ask for.
func (r *recordReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) || n > maxRecordItems {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *recordReader) texts() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	list := make([]string, 0, n)
	for range n {
		list = append(list, r.text())
	}
	return list
}

// maxMicros bounds stored times to those that time.Time's arithmetic is exact
// for (about ±146,000 years).
const maxMicros = 1 << 62

func (r *recordReader) time() time.Time {
	us := r.varint()
	if us > maxMicros || us < -maxMicros {
		r.fail()
	}
	if us == 0 || r.bad {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func (r *recordReader) duration() time.Duration {
	us := r.varint()
	if us < 0 || us > int64(1<<63-1)/int64(time.Microsecond) {
		r.fail()
		return 0
	}
	return time.Duration(us) * time.Microsecond
}
