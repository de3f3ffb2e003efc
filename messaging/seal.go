package messaging

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/lodge-gateway/lodge"
)

// What is sealed begins with a header in the clear,
//
//	form (1 byte) | length of the key id (1 byte) | key id
//
// followed by a random nonce, the ciphertext and the authentication tag of
// AES-256-GCM under the topic's key. Associated data are the header, the
// tenant, the topic, the message ID and the position of the entry before, so an
// entry opens in its own place only. The first 8 bytes of the authentication
// tag are the Tag of the entry's position, so that a position, and thereby the
// next entry, stands for everything before it.
const (
	// formFirst is an entry of the batch that made its topic: the back end had
	// not chosen the epoch yet, so the previous position counts without it.
	formFirst = 1
	// formNext is any other entry.
	formNext = 2
	// formSnapshot is the snapshot of a Projection.
	formSnapshot = 3
	// formPersonKey is a person's key as a store of PersonKeys has it.
	formPersonKey = 4
)

const (
	nonceSize   = 12
	authTagSize = 16
	// maxOverhead is by how much a sealed body can be longer than its plaintext.
	maxOverhead = 2 + maxKeyID + nonceSize + authTagSize
)

// Why something from the back end was rejected.
var (
	errOutOfPlace = errors.New("it is not the entry that follows the one before")
	errMalformed  = errors.New("it was not written by Lodge")
	errUnknownKey = errors.New("it names a sealing key that is not in the keyring")
	errNotGenuine = errors.New("it was altered, forged or moved")
	errReplayed   = errors.New("the back end returned it again")
)

// A sealer seals and opens what one topic holds. It is safe for concurrent use.
type sealer struct {
	tenant lodge.Tenant
	name   string
	topic  Topic // the physical name
	keys   Keyring

	mu    sync.Mutex
	aeads map[string]cipher.AEAD // by key id; guarded by mu
}

func newSealer(keys Keyring, tenant lodge.Tenant, name string) *sealer {
	return &sealer{
		tenant: tenant, name: name, topic: keys.topic(tenant, name),
		keys: keys, aeads: make(map[string]cipher.AEAD, 1),
	}
}

func (s *sealer) aead(id string) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if aead, ok := s.aeads[id]; ok {
		return aead, nil
	}
	aead, err := s.keys.aead(id, s.tenant, s.name)
	if err != nil {
		return nil, err
	}
	s.aeads[id] = aead
	return aead, nil
}

// seal returns the Msg for a message that is to follow directly on prev.
func (s *sealer) seal(prev Pos, m Message) (Msg, error) {
	form := byte(formNext)
	if prev.Epoch == 0 {
		form = formFirst
	}
	body, err := s.sealBytes(form, m.Body, m.ID, prev)
	if err != nil {
		return Msg{}, err
	}
	return Msg{ID: m.ID, Tag: tagOf(body), Body: body}, nil
}

// open returns the body of an entry that was read directly after prev, or why
// it is not genuine or not in its place.
func (s *sealer) open(prev Pos, e Entry) ([]byte, error) {
	if e.Pos.Seq != prev.Seq+1 || !prev.IsZero() && e.Pos.Epoch != prev.Epoch {
		return nil, errOutOfPlace
	}
	if len(e.Body) < authTagSize || tagOf(e.Body) != e.Pos.Tag {
		return nil, errNotGenuine
	}
	switch e.Body[0] {
	case formFirst:
		prev.Epoch = 0
	case formNext:
		if prev.Epoch == 0 {
			return nil, errOutOfPlace
		}
	default:
		return nil, errMalformed
	}
	return s.openBytes(e.Body, e.ID, prev)
}

// sealSnapshot seals the state of a projection, of some version, at a position.
func (s *sealer) sealSnapshot(at Pos, version string, data []byte) ([]byte, error) {
	return s.sealBytes(formSnapshot, append(appendField(nil, version), data...), "", at)
}

// openSnapshot returns version and state of what sealSnapshot sealed.
func (s *sealer) openSnapshot(snap Snapshot) (version string, data []byte, err error) {
	if len(snap.Data) == 0 || snap.Data[0] != formSnapshot {
		return "", nil, errMalformed
	}
	plain, err := s.openBytes(snap.Data, "", snap.At)
	if err != nil {
		return "", nil, err
	}
	n, size := binary.Uvarint(plain)
	if size <= 0 || n > uint64(len(plain)-size) {
		return "", nil, errMalformed
	}
	return string(plain[size:][:n]), plain[size:][n:], nil
}

func (s *sealer) sealBytes(form byte, plain []byte, id string, at Pos) ([]byte, error) {
	aead, err := s.aead(s.keys.Current)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(plain)+maxOverhead)
	b = append(b, form, byte(len(s.keys.Current)))
	b = append(b, s.keys.Current...)
	return aead.Seal(b, nil, plain, s.associated(b, id, at)), nil
}

func (s *sealer) openBytes(sealed []byte, id string, at Pos) ([]byte, error) {
	if len(sealed) < 2 || len(sealed) < 2+int(sealed[1])+nonceSize+authTagSize {
		return nil, errMalformed
	}
	end := 2 + int(sealed[1])
	aead, err := s.aead(string(sealed[2:end]))
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed[end:], s.associated(sealed[:end], id, at))
	if err != nil {
		return nil, errNotGenuine // err itself says no more
	}
	return plain, nil
}

// associated returns the associated data: what is not in the sealed bytes, but
// must be the same when they are opened.
func (s *sealer) associated(header []byte, id string, at Pos) []byte {
	b := make([]byte, 0, len(header)+len(s.tenant)+len(s.name)+len(id)+64)
	b = appendField(b, header)
	b = appendField(b, string(s.tenant))
	b = appendField(b, s.name)
	b = appendField(b, id)
	b = binary.BigEndian.AppendUint64(b, at.Epoch)
	b = binary.BigEndian.AppendUint64(b, at.Seq)
	return append(b, at.Tag[:]...)
}

// tagOf returns the position's tag of a sealed body.
func tagOf(sealed []byte) Tag {
	return Tag(sealed[len(sealed)-authTagSize:][:len(Tag{})])
}
