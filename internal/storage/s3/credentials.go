package s3

import (
	"errors"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// A Key is what requests are signed with.
type Key struct {
	ID, Secret string
	Session    string // of a key that was lent; empty: none
}

// ParseKey reads the file that other programs keep their key in, too: lines of
//
//	aws_access_key_id = …
//	aws_secret_access_key = …
//
// and, of a key that was lent, aws_session_token; under a heading such as [default],
// which is of no account, and no second one. An error shows nothing of it.
func ParseKey(text string) (Key, error) {
	var k Key
	headings := 0
	into := map[string]*string{"aws_access_key_id": &k.ID, "aws_secret_access_key": &k.Secret, "aws_session_token": &k.Session}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			if headings++; headings > 1 {
				return Key{}, fmt.Errorf("line %d begins a second profile; keep the one that Lodge is to use", n)
			}
			continue
		}
		name, value, found := strings.Cut(line, "=")
		field, known := into[strings.ToLower(strings.TrimSpace(name))]
		value = strings.TrimSpace(value)
		switch {
		case !found:
			return Key{}, fmt.Errorf("line %d is none like aws_access_key_id = …", n)
		case !known:
			continue // such as region, of the same file
		case *field != "":
			return Key{}, fmt.Errorf("line %d says again what a line above it says", n)
		case strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' }):
			return Key{}, fmt.Errorf("line %d holds what no key has", n)
		}
		*field = value
	}
	if k.ID == "" || k.Secret == "" {
		return Key{}, errors.New("it needs the lines aws_access_key_id = … and aws_secret_access_key = …")
	}
	return k, nil
}

// provider reads the key for each request, so that it can be changed while Lodge runs.
type provider struct {
	key func() (Key, error)
}

// keyError is that there is no key to sign with.
type keyError struct{ err error }

func (e *keyError) Error() string { return "the key cannot be read: " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// Retrieve implements credentials.Provider.
func (p *provider) Retrieve() (credentials.Value, error) {
	k, err := p.key()
	if err != nil {
		return credentials.Value{}, &keyError{err}
	}
	return credentials.Value{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Session, SignerType: credentials.SignatureV4}, nil
}

// RetrieveWithCredContext implements credentials.Provider.
func (p *provider) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return p.Retrieve()
}

// IsExpired implements credentials.Provider: what was read is not kept.
func (p *provider) IsExpired() bool { return true }
