package survey

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cloudflare/circl/blindsign/blindrsa"
	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// A voter is the browser of somebody who answers by ballot.
type voter struct {
	client  blindrsa.Client
	serial  []byte
	blinded []byte
	state   blindrsa.State
	paper   []byte // the signature, once it is there
}

func newVoter(t testing.TB, s Survey) *voter {
	t.Helper()
	parsed, err := x509.ParsePKIXPublicKey(s.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	v := &voter{}
	if v.client, err = blindrsa.NewClient(variant, parsed.(*rsa.PublicKey)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 32)
	_, _ = rand.Read(message)
	if v.serial, err = v.client.Prepare(rand.Reader, message); err != nil {
		t.Fatal(err)
	}
	if v.blinded, v.state, err = v.client.Blind(rand.Reader, v.serial); err != nil {
		t.Fatal(err)
	}
	return v
}

// take gets the voter's ballot signed in a person's name.
func (v *voter) take(t testing.TB, d *Desk, s Survey, person lodge.PersonID) {
	t.Helper()
	signature, err := d.Ballot(t.Context(), tenant, s.ID, person, v.blinded)
	if err != nil {
		t.Fatal(err)
	}
	if v.paper, err = v.client.Finalize(v.state, signature); err != nil {
		t.Fatal(err)
	}
}

func (v *voter) cast(t testing.TB, d *Desk, s Survey, answers map[string]Answer) error {
	t.Helper()
	return d.Cast(t.Context(), tenant, s.ID, v.serial, v.paper, answers)
}

func secret(t testing.TB, d *Desk) Survey {
	t.Helper()
	draft := lesson()
	draft.Mode, draft.Small = Unlinkable, 3
	s, err := d.Open(t.Context(), tenant, grace, draft)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var good = map[string]Answer{"how": {Options: []int{0}}, "why": {Text: "because"}}

func TestABallotIsGivenAndUsedOnce(t *testing.T) {
	d, log := newDesk(t)
	other := newNode(t, log)
	s := secret(t, d)
	ada := newVoter(t, s)
	for _, node := range []*Desk{d, other, d} { // the answer was lost, and asked for again
		ada.take(t, node, s, "ada")
	}
	_, err := other.Ballot(t.Context(), tenant, s.ID, "ada", newVoter(t, s).blinded)
	wantCode(t, "a second ballot", err, lodge.CodeConflict)
	_, err = d.Ballot(t.Context(), tenant, s.ID, "ada", []byte("short"))
	wantCode(t, "nothing blinded", err, lodge.CodeRefused)
	_, err = d.Ballot(t.Context(), tenant, s.ID, "", ada.blinded)
	wantCode(t, "nobody", err, lodge.CodeUnauthenticated)
	_, err = d.Answer(t.Context(), tenant, s.ID, "ada", "Ada", good)
	wantCode(t, "an answer with a name", err, lodge.CodeConflict)
	if has, err := other.HasBallot(t.Context(), tenant, s.ID, "ada"); !has || err != nil {
		t.Errorf("ada has her ballot: %t, %v", has, err)
	}

	wantCode(t, "an answer the questions do not take", ada.cast(t, d, s, map[string]Answer{"how": {Options: []int{9}}}), lodge.CodeRefused)
	for _, node := range []*Desk{d, other} {
		if err := ada.cast(t, node, s, good); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "the ballot with other answers", ada.cast(t, d, s, map[string]Answer{"how": {Options: []int{1}}}), lodge.CodeConflict)
	forged := *ada
	forged.serial = slices.Clone(ada.serial)
	forged.serial[40] ^= 1
	wantCode(t, "a forged serial", forged.cast(t, d, s, good), lodge.CodeRefused)
	elsewhere := secret(t, d)
	wantCode(t, "a ballot of another survey", ada.cast(t, d, elsewhere, good), lodge.CodeRefused)
	named := open(t, d, lesson())
	wantCode(t, "a ballot for a survey with names", ada.cast(t, d, named, good), lodge.CodeConflict)
	_, err = d.Ballot(t.Context(), tenant, named.ID, "ada", ada.blinded)
	wantCode(t, "a ballot of a survey with names", err, lodge.CodeConflict)

	late := newVoter(t, s)
	late.take(t, d, s, "late")
	for range 2 {
		closed, err := d.Close(t.Context(), tenant, s.ID, grace)
		if err != nil || closed.Answered != 1 {
			t.Fatalf("closed: %+v, %v", closed, err)
		}
	}
	wantCode(t, "a ballot after the end", late.cast(t, other, s, good), lodge.CodeConflict)
	if err := ada.cast(t, other, s, good); err != nil { // what is in, is in
		t.Errorf("the repetition after the end: %v", err)
	}
	_, err = d.Ballot(t.Context(), tenant, s.ID, "eve", newVoter(t, s).blinded)
	wantCode(t, "taking a ballot after the end", err, lodge.CodeConflict)
	all, err := other.List(t.Context(), tenant)
	if err != nil || len(all) != 3 || all[2].Answered != 1 {
		t.Errorf("listed: %+v, %v", all, err)
	}
}

// What ballots are signed with is nowhere any more once the survey is closed,
// whatever is kept of the log.
func TestTheSigningKeyIsDestroyedAtTheEnd(t *testing.T) {
	d, _ := newDesk(t)
	s := secret(t, d)
	page, err := d.topics.Read(t.Context(), tenant, "survey:"+s.ID, messaging.Pos{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var opened state
	for _, it := range page.Items {
		fold(&opened, it)
	}
	v := newVoter(t, s)
	if _, err := d.sign(t.Context(), tenant, s.ID, opened.SealedKey, v.blinded); err != nil {
		t.Fatalf("while it is open: %v", err)
	}
	if _, err := d.Close(t.Context(), tenant, s.ID, grace); err != nil {
		t.Fatal(err)
	}
	_, err = d.sign(t.Context(), tenant, s.ID, opened.SealedKey, v.blinded)
	wantCode(t, "with the entry of before", err, lodge.CodeConflict)
}

// A thousand tries of one ballot, and of one person to get a second one, on three
// nodes: one signature, one answer.
func TestRel24_AThousandRacingBallotsAreOneAnswer(t *testing.T) {
	d, log := newDesk(t)
	nodes := []*Desk{d, newNode(t, log), newNode(t, log)}
	s := secret(t, d)
	voters := []*voter{newVoter(t, s), newVoter(t, s), newVoter(t, s)}
	var wg sync.WaitGroup
	won := make([]bool, len(voters))
	for i, v := range voters {
		wg.Go(func() {
			signature, err := nodes[i].Ballot(t.Context(), tenant, s.ID, "ada", v.blinded)
			if lodge.CodeOf(err) == lodge.CodeConflict {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			v.paper, err = v.client.Finalize(v.state, signature)
			won[i] = err == nil
		})
	}
	wg.Wait()
	if slices.Index(won, true) < 0 || slices.Index(won, true) != len(won)-1-slices.Index([]bool{won[2], won[1], won[0]}, true) {
		t.Fatalf("who has a ballot: %v", won)
	}
	ada := voters[slices.Index(won, true)]
	for i := range 1000 {
		wg.Go(func() {
			if err := ada.cast(t, nodes[i%3], s, good); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := nodes[1].Get(t.Context(), tenant, s.ID); err != nil || got.Answered != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Racing voters are each counted once, on every node alike.
func TestBallotsOfManyAreAllThere(t *testing.T) {
	d, log := newDesk(t)
	nodes := []*Desk{d, newNode(t, log)}
	s := secret(t, d)
	const people = 24
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			v := newVoter(t, s)
			v.take(t, nodes[i%2], s, lodge.PersonID(fmt.Sprint("p", i)))
			if err := v.cast(t, nodes[(i+1)%2], s, map[string]Answer{"how": {Options: []int{i % 2}}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	tally, err := nodes[1].Tally(t.Context(), tenant, s.ID)
	if err != nil || tally.Answered != people || tally.Counted != people-3 {
		t.Errorf("open: %d answered, %d counted, %v", tally.Answered, tally.Counted, err)
	}
	if _, err := d.Close(t.Context(), tenant, s.ID, grace); err != nil {
		t.Fatal(err)
	}
	if tally, err = nodes[1].Tally(t.Context(), tenant, s.ID); err != nil || asJSON(t, tally.Of("how").Counts) != "[12,12]" {
		t.Errorf("closed: %+v, %v", tally, err)
	}
}

// However ballots come in, results move by Small at least, also at the end, and
// what was counted stays counted.
func TestResultsOfBallotsMoveInSteps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		small := rapid.IntRange(2, 6).Draw(rt, "small")
		s := &state{Draft: Draft{ID: "s", Mode: Unlinkable, Small: small, Questions: lesson().Questions}}
		var box ballotBox
		before := map[string]bool{}
		moved := func(now map[string]bool) {
			if n := len(now) - len(before); n != 0 && n < small {
				rt.Fatalf("from %d to %d", len(before), len(now))
			}
			for id := range before {
				if !now[id] {
					rt.Fatal("what was counted is not any more")
				}
			}
			before = now
		}
		counted := func() map[string]bool {
			ids := map[string]bool{}
			for _, r := range s.rows(box) {
				ids[r.id] = true
			}
			return ids
		}
		for i := range rapid.IntRange(0, 40).Draw(rt, "ballots") {
			box.Ballots = append(box.Ballots, ballot{ID: []byte(fmt.Sprintf("%08d", i)), Answers: good})
			box.step(small)
			moved(counted())
		}
		s.ClosedAt = newClock().Now()
		now := counted()
		if len(now) < small { // it is held back, whatever it is
			if !s.tally(box).Held {
				rt.Fatal("shown, of too few")
			}
			return
		}
		moved(now)
		if len(now) != len(box.Ballots) {
			rt.Fatalf("%d of %d are counted at the end", len(now), len(box.Ballots))
		}
	})
}
