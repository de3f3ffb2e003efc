package idp

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A KeptGrant is the grant of one login.
type KeptGrant struct {
	Tenant  lodge.Tenant
	Session string // the login's public id
	Issuer  string
	Checked time.Time // when the issuer was last asked
	Due     time.Time // when it is to be asked again
	Sealed  []byte    // the Grant; see Grants.Open
}

// A GrantStore keeps the grants of logins, durably.
type GrantStore interface {
	// KeepGrant writes a grant down, in place of the session's earlier one.
	KeepGrant(ctx context.Context, k KeptGrant) error
	// DueGrants returns up to limit grants that are due, of all tenants, and puts
	// them off until a later time: until then no other caller gets them.
	DueGrants(ctx context.Context, now, until time.Time, limit int) ([]KeptGrant, error)
	// DropGrant removes a session's grant; it may be gone.
	DropGrant(ctx context.Context, tenant lodge.Tenant, session string) error
}

// Grants keeps grants sealed (AES-256-GCM), bound to their login: neither the
// store nor its backup gives a refresh token away.
type Grants struct {
	GrantStore
	seal cipher.AEAD
}

// NewGrants returns the grants in store, sealed under a 32-byte key.
func NewGrants(store GrantStore, key []byte) (*Grants, error) {
	if len(key) != 32 {
		return nil, errors.New("idp: grants need a key of 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("idp: grants: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("idp: grants: %w", err)
	}
	return &Grants{store, seal}, nil
}

// Keep seals a grant and writes it down.
func (g *Grants) Keep(ctx context.Context, k KeptGrant, grant Grant) error {
	plain, err := json.Marshal(grant)
	if err != nil {
		return fmt.Errorf("idp: grants: %w", err)
	}
	k.Sealed = g.seal.Seal(nil, nil, plain, k.binding())
	return g.KeepGrant(ctx, k)
}

// Open returns what was sealed for that login; anything else is an error.
func (g *Grants) Open(k KeptGrant) (Grant, error) {
	plain, err := g.seal.Open(nil, nil, k.Sealed, k.binding())
	if err != nil {
		return Grant{}, fmt.Errorf("idp: the grant of session %s cannot be opened", k.Session)
	}
	var grant Grant
	if err := json.Unmarshal(plain, &grant); err != nil {
		return Grant{}, fmt.Errorf("idp: the grant of session %s cannot be read", k.Session)
	}
	return grant, nil
}

func (k KeptGrant) binding() []byte {
	b, err := json.Marshal([]string{"grant", string(k.Tenant), k.Session, k.Issuer})
	if err != nil {
		panic(err) // texts can always be encoded
	}
	return b
}
