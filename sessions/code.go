package sessions

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// secretLen is the length of a code's secret: 32 random bytes in unpadded
// base64url, the form that scs generates for the browser's cookie.
const secretLen = 43

// IDLen is the length of every ID.
const IDLen = 43

// prefixes begin the codes of each kind, so that secret scanners and people can
// tell what they have found.
var prefixes = map[Kind]string{
	Login:      "lodge_log_",
	Booking:    "lodge_bkg_",
	Experiment: "lodge_exp_",
	Host:       "lodge_hst_",
	Service:    "lodge_svc_",
}

// prefixLen is the length of every prefix.
const prefixLen = len("lodge_xxx_")

// kinds are the kinds by prefix.
var kinds = func() map[string]Kind {
	m := make(map[string]Kind, len(prefixes))
	for kind, prefix := range prefixes {
		m[prefix] = kind
	}
	return m
}()

// newCode returns a fresh code of a kind and the id it is stored under.
func newCode(kind Kind) (code string, id ID) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never returns an error: it crashes the program instead
	secret := base64.RawURLEncoding.EncodeToString(b[:])
	return prefixes[kind] + secret, idOf(secret)
}

// idOf returns the id of a secret, exactly as scs hashes a token.
func idOf(secret string) ID { return idOfSum(sha256.Sum256([]byte(secret))) }

func idOfSum(sum [sha256.Size]byte) ID {
	var id [IDLen]byte
	base64.RawURLEncoding.Encode(id[:], sum[:])
	return ID(id[:])
}

// parseCode splits a code into its kind and its secret. It accepts exactly what
// newCode can produce: every other string is refused before anything is read.
func parseCode(code string) (kind Kind, secret string, ok bool) {
	if len(code) != prefixLen+secretLen {
		return "", "", false
	}
	kind, ok = kinds[code[:prefixLen]]
	secret = code[prefixLen:]
	if !ok || !wellFormed(secret) {
		return "", "", false
	}
	return kind, secret, true
}

// wellFormed reports whether s is the canonical base64url of 32 bytes, as
// secrets and ids are. It decodes nothing: every request has one looked at.
func wellFormed(s string) bool {
	if len(s) != secretLen {
		return false
	}
	for i := range len(s) {
		if sextets[s[i]] < 0 {
			return false
		}
	}
	// 43 digits are 258 bits: the last two stand for nothing, and are 0.
	return sextets[s[secretLen-1]]&3 == 0
}

// sextets are the values of base64url's digits, -1 for every other byte.
var sextets = func() (values [256]int8) {
	for i := range values {
		values[i] = -1
	}
	for i, digit := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		values[digit] = int8(i)
	}
	return values
}()

// Valid reports whether an id has the form of one. It says nothing about whether
// there is such a session.
func (id ID) Valid() bool { return wellFormed(string(id)) }
