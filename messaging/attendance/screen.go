package attendance

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// CodeStep is how long a screen shows a code.
	CodeStep = 15 * time.Second
	// codeGrace is how much longer one is good: for who was typing.
	codeGrace = 5 * time.Second
	// passLife is how long somebody may take to sign in after they followed the link
	// on the screen.
	passLife = 10 * time.Minute

	codeLength  = 5
	tokenLength = 16 // bytes
	alphabet    = "23456789BCDFGHJKMNPQRSTVWXZ"
)

// A Screen is what the screen in a room shows at a moment: a code to be typed and
// a token for a link, both good until the next ones come and a few seconds more.
type Screen struct {
	Code  string
	Token string
	Until time.Time // when the next ones come
}

var errCode = lodge.E(lodge.CodeRefused, "This code is not the one on the screen, or not any more; type the one that is there now.")

func newSecret() []byte {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// mac binds what it is for, the register and a moment together.
func (t terms) mac(what, register string, at int64) []byte {
	h := hmac.New(sha256.New, t.Secret)
	h.Write([]byte(what + "\x00" + register + "\x00"))
	_ = binary.Write(h, binary.BigEndian, at) // a hash takes everything
	return h.Sum(nil)
}

func step(now time.Time) int64 { return now.UnixNano() / int64(CodeStep) }

func (t terms) code(register string, step int64) string {
	n := binary.BigEndian.Uint64(t.mac("code", register, step))
	code := make([]byte, codeLength)
	for i := range code {
		code[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return string(code)
}

func (t terms) token(register string, step int64) string {
	return base64.RawURLEncoding.EncodeToString(t.mac("token", register, step)[:tokenLength])
}

// good reports whether what somebody has is what the screen showed: now, or until a
// few seconds ago. It takes the same time for every miss.
func good(now time.Time, typed string, shown func(step int64) string) bool {
	at := step(now)
	ok := hmac.Equal([]byte(typed), []byte(shown(at)))
	before := hmac.Equal([]byte(typed), []byte(shown(at-1)))
	return ok || before && now.Sub(time.Unix(0, at*int64(CodeStep))) <= codeGrace
}

// plainCode is a code as it was meant: typed with spaces, or in small letters.
func plainCode(typed string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(typed)))
}

// Show returns what the screen of an open register shows now.
func (d *Desk) Show(ctx context.Context, tenant lodge.Tenant, id string) (Screen, error) {
	var shown Screen
	var refused error
	now := d.clock.Now()
	err := d.book(tenant).View(ctx, func(s *state) {
		r := s.Registers[id]
		switch {
		case r == nil:
			refused = errUnknown
		case !r.open():
			refused = errClosed
		case len(r.Secret) == 0:
			refused = lodge.E(lodge.CodeRefused, "This register has no codes; open a new one.")
		default:
			at := step(now)
			shown = Screen{Code: r.code(id, at), Token: r.token(id, at), Until: time.Unix(0, (at+1)*int64(CodeStep)).UTC()}
		}
	})
	if err == nil {
		err = refused
	}
	return shown, err
}

// Type notes that somebody is in the room: they typed the code that its screen
// shows. A code that is not good is CodeRefused; whoever calls limits how often one
// is tried.
func (d *Desk) Type(ctx context.Context, tenant lodge.Tenant, id string, who Coming, code string) (Register, error) {
	now := d.clock.Now().UTC()
	code = plainCode(code)
	return d.come(ctx, tenant, id, who, now, func(r *register) (mark, error) {
		if len(r.Secret) == 0 || !good(now, code, func(step int64) string { return r.code(id, step) }) {
			return mark{}, errCode
		}
		return mark{CodeAt: now}, nil
	})
}

// Admit takes the token of a screen's link and returns a pass: who presents it
// within ten minutes was in the room now. It is for whoever has to sign in first,
// and is kept by their browser alone.
func (d *Desk) Admit(ctx context.Context, tenant lodge.Tenant, id, token string) (pass string, err error) {
	now := d.clock.Now()
	err = d.book(tenant).View(ctx, func(s *state) {
		r := s.Registers[id]
		if r != nil && r.open() && len(r.Secret) > 0 && good(now, token, func(step int64) string { return r.token(id, step) }) {
			at := now.UnixMicro()
			pass = base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(at)), r.mac("pass", id, at)...))
		}
	})
	if err == nil && pass == "" {
		err = errCode
	}
	return pass, err
}

// Present notes that somebody was in the room when they were given a pass.
func (d *Desk) Present(ctx context.Context, tenant lodge.Tenant, id string, who Coming, pass string) (Register, error) {
	raw, err := base64.RawURLEncoding.DecodeString(pass)
	if err != nil || len(raw) != 8+sha256.Size {
		return Register{}, errCode
	}
	micros := int64(binary.BigEndian.Uint64(raw))
	at := time.UnixMicro(micros).UTC()
	if age := d.clock.Now().Sub(at); age < 0 || age > passLife {
		return Register{}, errCode
	}
	return d.come(ctx, tenant, id, who, at, func(r *register) (mark, error) {
		if len(r.Secret) == 0 || !hmac.Equal(raw[8:], r.mac("pass", id, micros)) {
			return mark{}, errCode
		}
		return mark{CodeAt: at}, nil
	})
}

// CouldType returns the open registers that somebody could type a code for: those
// they are in, and those of their groups.
func (d *Desk) CouldType(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, groups []string) ([]string, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var ids []string
	now := d.clock.Now()
	err = d.book(tenant).View(ctx, func(s *state) {
		for id, r := range s.Registers {
			if !r.open() || len(r.Secret) == 0 || now.Before(r.Start) {
				continue
			}
			if _, rec := r.member(merged, person); rec != nil || slices.Contains(groups, r.Group) {
				ids = append(ids, id)
			}
		}
	})
	slices.Sort(ids)
	return ids, err
}
