package idp

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// JoinPrefix begins every join code that is made here, for secret scanners.
const JoinPrefix = "lodge_join_"

// ErrNoJoinCode means that a join code puts nobody into a group: there is none, it
// ran out, was used up or revoked.
var ErrNoJoinCode = errors.New("idp: no such join code") // CodeNotFound

// A JoinCode puts whoever holds it into a group. What is kept of it is a hash, and
// a sealed copy for those who hand it out.
type JoinCode struct {
	Tenant    lodge.Tenant
	ID        string
	Group     string
	Hash      []byte // SHA-256 of the code
	Sealed    []byte // the code, sealed; nil for one that a file holds
	By        lodge.PersonID
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	Limit     int       // how many may join by it; 0: no limit
	Uses      int       // how many have
	RevokedAt time.Time
}

// Good reports whether it still puts people into its group.
func (c JoinCode) Good(now time.Time) bool {
	return c.RevokedAt.IsZero() && (c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt)) && (c.Limit == 0 || c.Uses < c.Limit)
}

// A Membership is that a person joined a group by a join code. Groups that issuers
// give are none.
type Membership struct {
	Tenant lodge.Tenant
	Group  string
	Person lodge.PersonID // whom they count as now
	At     time.Time
	Code   string // the id of the join code
}

// JoinStore keeps join codes and who joined by them. Each call is atomic and
// durable as those of Store. Who joined a group has it among their Groups, and is
// among its persons (InGroup), until they leave.
type JoinStore interface {
	// PutJoinCode adds a join code and revokes the one that it replaces, if any;
	// ErrNoJoinCode when that is not there or revoked already. Members stay.
	PutJoinCode(ctx context.Context, c JoinCode, replaces string) error
	// JoinCodes returns a group's join codes that are kept here, the newest first.
	JoinCodes(ctx context.Context, tenant lodge.Tenant, group string) ([]JoinCode, error)
	// JoinCode returns the one with a hash, or ErrNoJoinCode.
	JoinCode(ctx context.Context, tenant lodge.Tenant, hash []byte) (JoinCode, error)
	// RevokeJoinCode ends a join code of a group; ErrNoJoinCode when there is none.
	// One that is revoked stays as it is.
	RevokeJoinCode(ctx context.Context, tenant lodge.Tenant, group, id string, at time.Time) error
	// Redeem puts a person into the group of c, found by its hash, and counts a use.
	// Somebody who is in it already is not counted: joined is false. ErrNoJoinCode
	// when c is not good at that time. One that a file holds is noted at its first
	// use, with Limit, ExpiresAt and Group as c has them each time.
	Redeem(ctx context.Context, c JoinCode, person lodge.PersonID, at time.Time) (done JoinCode, joined bool, err error)
	// Leave ends a person's membership; ErrUnknown when there is none.
	Leave(ctx context.Context, tenant lodge.Tenant, group string, person lodge.PersonID) error
	// Members returns who joined a group, and Joined which groups a person joined,
	// by time.
	Members(ctx context.Context, tenant lodge.Tenant, group string) ([]Membership, error)
	Joined(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]Membership, error)
}

// Joins makes join codes and shows them to those who hand them out.
type Joins struct {
	JoinStore
	seal cipher.AEAD
}

// NewJoins returns the join codes in a store, sealed under a key of 32 bytes.
func NewJoins(store JoinStore, key []byte) (*Joins, error) {
	if len(key) != 32 {
		return nil, errors.New("idp: join codes need a key of 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("idp: join codes: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("idp: join codes: %w", err)
	}
	return &Joins{store, seal}, nil
}

// HashJoinCode is what a join code is found by.
func HashJoinCode(code string) []byte {
	sum := sha256.Sum256([]byte(strings.TrimSpace(code)))
	return sum[:]
}

// Make draws a join code of 256 bits for the group, expiry and limit of c, in place
// of another one or of none (""), and returns it.
func (j *Joins) Make(ctx context.Context, c JoinCode, replaces string) (string, JoinCode, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	code := JoinPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	c.ID, c.Hash = strings.ToLower(rand.Text()[:12]), HashJoinCode(code)
	c.Sealed = j.seal.Seal(nil, nil, []byte(code), c.binding())
	return code, c, j.PutJoinCode(ctx, c, replaces)
}

// Show returns a join code that was sealed.
func (j *Joins) Show(c JoinCode) (string, error) {
	code, err := j.seal.Open(nil, nil, c.Sealed, c.binding())
	if err != nil {
		return "", fmt.Errorf("idp: join code %s cannot be opened", c.ID)
	}
	return string(code), nil
}

func (c JoinCode) binding() []byte {
	b, err := json.Marshal([]string{"join", string(c.Tenant), c.Group, c.ID})
	if err != nil {
		panic(err) // texts can always be encoded
	}
	return b
}

// NoJoinCode is the one answer to every code that puts nobody into a group.
func NoJoinCode() error {
	return lodge.Wrap(lodge.CodeNotFound, "This join code does not work: it may have been replaced, have run out or been used up. Ask whoever gave it to you for a new one.", ErrNoJoinCode)
}
