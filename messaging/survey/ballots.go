package survey

// Ballots: how an unlinkable survey is answered.
//
// The student's browser makes a random serial, blinds it, and asks for it to be
// signed in the student's name: each person gets one signature, on whatever it is
// they sent, which only tells that they took a ballot. The browser takes the
// blinding off and has a signature that nobody has seen. With it the answers come
// back without a name; the signature says that somebody was entitled to them, the
// serial that nobody votes twice.
//
// What would still tie the two together is when and in which order they are kept,
// so ballots stand in a messaging.Box: one sealed value without entries. In it
// they are ordered by the hash of their serials, which are random, and have neither
// time nor number. Nothing of a ballot is logged or audited.
//
// A survey's results count ballots in steps, as those of a pseudonymous one do
// people, and which of those that wait are counted next is drawn at random.

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"math/big"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// serialSize is what a browser makes: the 32 random bytes that RFC 9474 section
// 4.1 puts before the message, and the message, 32 random bytes as well.
const serialSize = 64

var (
	errClosed     = lodge.E(lodge.CodeConflict, "The survey is closed; it takes no more answers.")
	errNotBallots = lodge.E(lodge.CodeConflict, "This survey is not answered by ballot; load its page again.")
	errByBallot   = lodge.E(lodge.CodeConflict, "This survey is answered by ballot, so that nobody can tell whose answers they are: open its page in a browser with JavaScript.")
	errNotBlinded = lodge.E(lodge.CodeRefused, "That is no blinded message for this survey's key; load the page again.")
	errOneBallot  = lodge.E(lodge.CodeConflict, "Your ballot was already taken, in another browser or before this one forgot it. Answer there: nobody can give you a second one, or tell whether you used the first.")
	errForged     = lodge.E(lodge.CodeRefused, "This is not a ballot of the survey; load its page again.")
	errSpent      = lodge.E(lodge.CodeConflict, "This ballot was used with other answers; it is final once it is sent.")
)

// A ballot is one set of answers of nobody in particular.
type ballot struct {
	ID      []byte            `json:"id"` // SHA-256 of its serial
	Answers map[string]Answer `json:"answers"`
	Counted bool              `json:"counted,omitempty"` // by the results while the survey is open
}

// ballotBox is what stands in a survey's Box.
type ballotBox struct {
	Ballots []ballot `json:"ballots"` // by ID
	Closed  bool     `json:"closed,omitempty"`
}

func (d *Desk) boxOf(tenant lodge.Tenant, survey string) *messaging.Box {
	return d.topics.Box(tenant, boxName(survey))
}

func boxName(survey string) string { return "ballots:" + survey }

// box returns what is in a survey's ballot box.
func (d *Desk) box(ctx context.Context, tenant lodge.Tenant, survey string) (ballotBox, error) {
	data, err := d.boxOf(tenant, survey).Read(ctx)
	if err != nil || data == nil {
		return ballotBox{}, err
	}
	var box ballotBox
	return box, json.Unmarshal(data, &box)
}

// Ballot signs what a person's browser blinded: once a person, and for the same
// again the same. The person's answer is not known by it, then or later. It is
// CodeConflict for another one, and when the survey is closed.
func (d *Desk) Ballot(ctx context.Context, tenant lodge.Tenant, id string, person lodge.PersonID, blinded []byte) ([]byte, error) {
	if person == "" {
		return nil, lodge.E(lodge.CodeUnauthenticated, "Sign in to answer.")
	}
	if len(blinded) != keyBits/8 {
		return nil, errNotBlinded
	}
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(blinded)
	var sealed []byte
	err = d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		return p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			sealed = s.SealedKey
			switch issued := s.issued(merged, person); {
			case s.ID == "":
				return nil, errUnknown
			case s.Mode != Unlinkable:
				return nil, errNotBallots
			case !s.takes(d.clock.Now()):
				return nil, errClosed
			case issued == nil:
				// Without a time: when it was, is nobody's to know.
				return entry{Kind: kindIssued, Survey: id, By: person, Blinded: hash[:]}.messages()
			case !bytes.Equal(issued, hash[:]):
				return nil, errOneBallot
			}
			return nil, nil
		})
	})
	if err != nil {
		return nil, err
	}
	return d.sign(ctx, tenant, id, sealed, blinded)
}

// issued is what was signed for a person, by whichever id of theirs; nil when
// nothing was.
func (s *state) issued(merged lodge.Merged, person lodge.PersonID) []byte {
	for _, p := range merged.All(person) {
		if hash := s.Issued[p]; hash != nil {
			return hash
		}
	}
	return nil
}

// HasBallot reports whether a person was given their ballot.
func (d *Desk) HasBallot(ctx context.Context, tenant lodge.Tenant, id string, person lodge.PersonID) (bool, error) {
	has := false
	err := d.view(ctx, tenant, id, func(s *state, merged lodge.Merged) { has = s.issued(merged, person) != nil })
	return has, err
}

// Cast takes the answers of whoever has a ballot: its serial as it was signed, and
// the signature. Repeated it changes nothing; with other answers it is
// CodeConflict. CodeRefused names the question and what to do, or says that it is
// no ballot.
func (d *Desk) Cast(ctx context.Context, tenant lodge.Tenant, id string, serial, signature []byte, answers map[string]Answer) error {
	var one Survey
	takes := false
	if err := d.view(ctx, tenant, id, func(s *state, _ lodge.Merged) { one, takes = s.view(), s.takes(d.clock.Now()) }); err != nil {
		return err
	}
	switch {
	case !one.Unlinkable():
		return errNotBallots
	case len(serial) != serialSize || !verifies(one.PublicKey, serial, signature):
		return errForged
	}
	accepted, err := accept(one.Questions, answers)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(serial)
	b := ballot{ID: hash[:], Answers: accepted}
	return d.boxOf(tenant, id).Update(ctx, func(old []byte) ([]byte, error) {
		var box ballotBox
		if old != nil {
			if err := json.Unmarshal(old, &box); err != nil {
				return nil, err
			}
		}
		at, known := slices.BinarySearchFunc(box.Ballots, b, func(a, b ballot) int { return bytes.Compare(a.ID, b.ID) })
		switch {
		case known && maps.EqualFunc(box.Ballots[at].Answers, accepted, Answer.equal):
			return nil, nil
		case known:
			return nil, errSpent
		case !takes || box.Closed:
			return nil, errClosed
		}
		box.Ballots = slices.Insert(box.Ballots, at, b)
		box.step(max(one.Small, 1))
		return json.Marshal(box)
	})
}

// step has the results count small more of the ballots, drawn from those that
// wait, once as many would still wait.
func (b *ballotBox) step(small int) {
	var waiting []int
	for i := range b.Ballots {
		if !b.Ballots[i].Counted {
			waiting = append(waiting, i)
		}
	}
	if len(waiting) < 2*small {
		return
	}
	for range small {
		n := draw(len(waiting))
		b.Ballots[waiting[n]].Counted = true
		waiting = slices.Delete(waiting, n, n+1)
	}
}

// draw returns one of 0 to n-1 that nobody can foretell.
func draw(n int) int {
	drawn, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // crypto/rand.Reader never fails
	}
	return int(drawn.Int64())
}

// seal closes a survey's ballot box and destroys what ballots were signed with. It
// returns how many are in it, and may be repeated.
func (d *Desk) seal(ctx context.Context, tenant lodge.Tenant, id string) (int, error) {
	n := 0
	err := d.boxOf(tenant, id).Update(ctx, func(old []byte) ([]byte, error) {
		var box ballotBox
		if old != nil {
			if err := json.Unmarshal(old, &box); err != nil {
				return nil, err
			}
		}
		n = len(box.Ballots)
		if box.Closed {
			return nil, nil
		}
		box.Closed = true
		return json.Marshal(box)
	})
	if err != nil {
		return n, err
	}
	return n, d.destroyKey(ctx, tenant, id)
}
