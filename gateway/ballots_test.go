package gateway_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/circl/blindsign/blindrsa"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite/sqlitetest"
	"github.com/lodge-gateway/lodge/messaging"
)

const (
	ballotsPath = "/api/v1/ballots"
	surveysPath = "/api/v1/surveys"
)

func raw64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (l *lab) bytes64(s string) []byte {
	l.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	l.must(err)
	return b
}

// ballot is what a browser sends: taken in somebody's name, sent in nobody's.
func (b *browser) ballot(s gateway.SurveyView, answers map[string]gateway.Answer) gateway.CastRequest {
	b.Helper()
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(b.lab.bytes64(s.BallotKey.N)), E: int(new(big.Int).SetBytes(b.lab.bytes64(s.BallotKey.E)).Int64())}
	client, err := blindrsa.NewClient(blindrsa.SHA384PSSRandomized, key)
	b.lab.must(err)
	message := make([]byte, 32)
	_, _ = rand.Read(message)
	serial, err := client.Prepare(rand.Reader, message)
	b.lab.must(err)
	blinded, state, err := client.Blind(rand.Reader, serial)
	b.lab.must(err)
	signed := call[gateway.BallotView](b, 200, "POST", surveysPath+"/"+s.ID+"/ballot", gateway.BallotRequest{Blinded: raw64(blinded)})
	signature, err := client.Finalize(state, b.lab.bytes64(signed.Signature))
	b.lab.must(err)
	return gateway.CastRequest{Survey: s.ID, Serial: raw64(serial), Signature: raw64(signature), Answers: answers}
}

func words(text string) map[string]gateway.Answer {
	return map[string]gateway.Answer{"why": {Text: text}}
}

func secretSurvey(grace *browser, mode string) gateway.SurveyView {
	grace.Helper()
	return call[gateway.SurveyView](grace, 201, "POST", surveysPath, gateway.SurveyRequest{
		To: "all", Title: "Honestly", Mode: mode, Questions: []gateway.QuestionView{{ID: "why", Kind: "text", Text: "What do you think?"}},
	})
}

func TestAnsweringByBallot(t *testing.T) {
	l := newLab(t)
	ada, soren, grace, linus := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace"), l.signedIn("linus")
	s := secretSurvey(grace, "unlinkable")
	if s.BallotKey == nil || s.Mode != "unlinkable" {
		t.Fatalf("%+v", s)
	}
	ada.refused(409, "POST", surveysPath+"/"+s.ID+"/answers", gateway.AnswerRequest{Answers: words("in my name")})
	paper := ada.ballot(s, words("a ballot"))
	nobody := l.browser()
	for range 2 {
		call[struct{}](nobody, 200, "POST", ballotsPath, paper)
	}
	// A cookie that comes along after all plays no part.
	call[struct{}](soren, 200, "POST", ballotsPath, paper)
	other := paper
	other.Answers = words("something else")
	nobody.refused(409, "POST", ballotsPath, other)
	other = paper
	other.Signature = raw64(make([]byte, 256))
	nobody.refused(422, "POST", ballotsPath, other)
	other.Signature = "ä"
	nobody.refused(400, "POST", ballotsPath, other)
	other.Serial = "ä"
	nobody.refused(400, "POST", ballotsPath, other)
	other = paper
	other.Survey = "nothing"
	nobody.refused(404, "POST", ballotsPath, other)
	nobody.refused(413, "POST", ballotsPath, gateway.CastRequest{Serial: strings.Repeat("x", 70_000)})
	ada.refused(422, "POST", surveysPath+"/"+s.ID+"/ballot", gateway.BallotRequest{Blinded: "AAAA"})
	ada.refused(400, "POST", surveysPath+"/"+s.ID+"/ballot", gateway.BallotRequest{Blinded: "ä"})
	ada.refused(409, "POST", surveysPath+"/"+s.ID+"/ballot", gateway.BallotRequest{Blinded: raw64(bytes.Repeat([]byte{1}, 256))})
	nobody.refused(401, "POST", surveysPath+"/"+s.ID+"/ballot", gateway.BallotRequest{Blinded: "AAAA"})
	if got := call[gateway.SurveyView](ada, 200, "GET", surveysPath+"/"+s.ID, nil); !got.HasBallot || got.Mine != nil {
		t.Errorf("%+v", got)
	}
	tally := call[gateway.TallyView](grace, 200, "GET", surveysPath+"/"+s.ID+"/results", nil)
	if tally.Answered != 1 || tally.Counted != 0 || !tally.Held || len(tally.Texts["why"]) != 0 {
		t.Errorf("%+v", tally)
	}
	// Of a group that she is not in, nobody has a ballot.
	private := call[gateway.SurveyView](grace, 201, "POST", surveysPath, gateway.SurveyRequest{
		To: "group:physics-1", Title: "S", Mode: "unlinkable", Questions: []gateway.QuestionView{{Kind: "text", Text: "?"}},
	})
	linus.refused(404, "POST", surveysPath+"/"+private.ID+"/ballot", gateway.BallotRequest{Blinded: raw64(make([]byte, 256))})

	for _, b := range []*browser{soren, grace, linus, l.signedIn("root")} {
		call[struct{}](nobody, 200, "POST", ballotsPath, b.ballot(s, words("also")))
	}
	call[gateway.SurveyView](grace, 200, "POST", surveysPath+"/"+s.ID+"/close", nil)
	tally = call[gateway.TallyView](grace, 200, "GET", surveysPath+"/"+s.ID+"/results", nil)
	if tally.Answered != 5 || tally.Counted != 5 || tally.Held || len(tally.Texts["why"]) != 5 {
		t.Errorf("%+v", tally)
	}
	if csv := grace.do("GET", surveysPath+"/"+s.ID+".csv", nil); strings.Contains(string(csv.body), "Ada") || !strings.Contains(string(csv.body), "a ballot") {
		t.Errorf("%s", csv.body)
	}
	lines := call[gateway.LinesView](grace, 200, "GET", surveysPath+"/"+s.ID+"/answers", nil)
	if len(lines.Lines) != 5 || lines.Lines[0].Name != "" {
		t.Errorf("%+v", lines)
	}
}

// The address that a ballot came from is counted, in memory alone.
func TestBallotsHaveARate(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.BallotRate = 2 })
	nobody := l.browser()
	for range 2 {
		nobody.refused(404, "POST", ballotsPath, gateway.CastRequest{Survey: "nothing"})
	}
	nobody.refused(429, "POST", ballotsPath, gateway.CastRequest{Survey: "nothing"})
}

// voters is how many people answer for the administrator to find out who they are.
const voters = 24

// An administrator who has the whole database with its keys, the log at its
// loudest and the audit trail, copied while the survey was open, tries to find out
// who gave which answer: by what stands in one place and the other, by the order in
// which things happened (also as the database's own write-ahead log has it), and by
// order of ids and digests. Of a pseudonymous survey they know all, so the
// attack is one that works (that of the write-ahead log does in
// TestABoxLeavesNothingOfItsPastInTheFiles); of an unlinkable one they know no more
// than who throws dice.
func TestAnAdministratorCannotLinkABallotToAPerson(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.SendRate = 1000 })
	grace := l.signedIn("grace")
	var people []*browser
	for i := range voters {
		people = append(people, l.signedIn(students()[i].Name))
	}
	answered := func(mode string) (survey gateway.SurveyView, truth map[string]string) {
		survey, truth = secretSurvey(grace, mode), map[string]string{}
		for _, b := range people {
			l.clock.pass(time.Minute) // nobody answers at the same moment as another: the hardest case
			text := fmt.Sprintf("opinion %s %s", mode, rand.Text())
			truth[b.me().Person] = text
			if mode == "unlinkable" {
				call[struct{}](l.browser(), 200, "POST", ballotsPath, b.ballot(survey, words(text)))
			} else {
				call[gateway.SurveyView](b, 200, "POST", surveysPath+"/"+survey.ID+"/answers", gateway.AnswerRequest{Answers: words(text)})
			}
		}
		return survey, truth
	}
	control, known := answered("pseudonymous")
	survey, secret := answered("unlinkable")

	loot := l.loot()
	if right := loot.guess(l, control.ID, known); right["opened"] != voters {
		t.Fatalf("of what the store knows, the attack finds out %v of %d: it proves nothing", right, voters)
	}
	// Of guesses by chance 1 in the mean is right; 10 or more are in 1 of 10 million.
	guesses := loot.guess(l, survey.ID, secret)
	for how, right := range guesses {
		if right >= 10 {
			t.Errorf("%d of %d ballots were tied to who cast them: %s", right, voters, how)
		}
	}
	if len(guesses) != 8 {
		t.Errorf("only %d ways were tried: %v", len(guesses), guesses)
	}
	// Neither place has anything of the other's, in any spelling.
	box, rest := loot.apart(survey.ID)
	for person := range secret {
		if bytes.Contains(box, []byte(person)) {
			t.Errorf("the ballot box names %s", person)
		}
	}
	for _, b := range ballotsIn(t, box) {
		for _, spelt := range []string{raw64(b.ID), base64.StdEncoding.EncodeToString(b.ID), fmt.Sprintf("%x", b.ID), b.Answers["why"].Text} {
			if bytes.Contains(rest, []byte(spelt)) {
				t.Errorf("%q of a ballot stands outside of the box, too", spelt)
			}
		}
	}
	if timed := regexp.MustCompile(`20\d\d-\d\d-\d\d|127\.0\.0\.1|"(at|by|time|request|address|seq|order)"`).Find(box); timed != nil {
		t.Errorf("the ballot box has %q", timed)
	}
	if log := l.log.String(); strings.Contains(log, ballotsPath) || strings.Contains(log, "opinion unlinkable") {
		t.Error("the log tells of ballots")
	}
	if n := len(ballotsIn(t, box)); n != voters {
		t.Fatalf("%d ballots in the box", n)
	}
}

type castBallot struct {
	ID      []byte                    `json:"id"`
	Answers map[string]gateway.Answer `json:"answers"`
}

func ballotsIn(t *testing.T, box []byte) []castBallot {
	t.Helper()
	var all struct{ Ballots []castBallot }
	if err := json.Unmarshal(box, &all); err != nil {
		t.Fatal(err)
	}
	return all.Ballots
}

// loot is everything an administrator has.
type loot struct {
	topics map[string][]byte // every topic that can be opened, entries in order, then what it folds into
	copied []string          // paths of the database as it was, version by version, and as it is
	raw    []byte            // every value of every table, every file of the database, the log, the trail
}

// loot takes it all: with the keys, since they are the administrator's too.
func (l *lab) loot() loot {
	l.Helper()
	got := loot{topics: map[string][]byte{}}
	ctx := context.Background()
	node := l.newTopics()
	all, err := node.Directory(ctx, lodge.DefaultTenant)
	l.must(err)
	for _, topic := range all {
		var text []byte
		page, err := node.Read(ctx, lodge.DefaultTenant, topic.Name, messaging.Pos{}, 1000)
		if err == nil {
			for _, it := range page.Items {
				text = append(append(append(text, it.ID...), '\n'), append(it.Body, '\n')...)
			}
		}
		if id, is := strings.CutPrefix(topic.Name, "ballots:"); is {
			box, err := node.Box(lodge.DefaultTenant, "ballots:"+id).Read(ctx)
			l.must(err)
			text = box
		}
		got.topics[topic.Name] = text
	}
	raw, err := sqlitetest.Values(ctx, filepath.Join(l.dir, "lodge.db"))
	l.must(err)
	got.raw = raw
	got.copied, err = sqlitetest.Versions(filepath.Join(l.dir, "lodge.db"), l.TempDir())
	l.must(err)
	files, err := filepath.Glob(filepath.Join(l.dir, "*"))
	l.must(err)
	for _, name := range files {
		if body, err := os.ReadFile(name); err == nil {
			got.raw = append(got.raw, body...)
		}
	}
	entries, err := l.trail.List(ctx, lodge.DefaultTenant, audit.Filter{Limit: 1000})
	l.must(err)
	trail, err := json.Marshal(entries)
	l.must(err)
	got.raw = append(append(append(got.raw, l.log.String()...), '\n'), trail...)
	return got
}

// apart is a survey's ballot box, and all there is beside it.
func (g loot) apart(survey string) (box, rest []byte) {
	for _, name := range slices.Sorted(maps.Keys(g.topics)) {
		if name == "ballots:"+survey {
			box = g.topics[name]
		} else {
			rest = append(rest, g.topics[name]...)
		}
	}
	return box, append(rest, g.raw...)
}

// A took is that somebody answered, or took a ballot.
type took struct{ entry, person, digest string }

// guess says for each person who answered a survey what they answered, in some ways,
// and how many of the guesses of each are right. First by what is written beside a
// name, opened with that person's key; of ballots by setting those who took one
// against those that are kept, each in some order.
func (g loot) guess(l *lab, survey string, truth map[string]string) map[string]int {
	l.Helper()
	opened := map[string]string{}
	var all []took // in the order of the entries
	id := ""
	for line := range bytes.Lines(g.topics["survey:"+survey]) {
		var e struct {
			Kind, By        string
			Sealed, Blinded []byte
		}
		if json.Unmarshal(line, &e) != nil {
			id = strings.TrimSpace(string(line)) // of the entry on the next line
			continue
		}
		if e.By == "" || truth[e.By] == "" {
			continue
		}
		all = append(all, took{id, e.By, string(e.Blinded)})
		keys, err := l.parts.PersonKeys.Keys(context.Background(), lodge.DefaultTenant, []lodge.PersonID{lodge.PersonID(e.By)})
		l.must(err)
		plain, err := messaging.OpenPersonal(keys[lodge.PersonID(e.By)], "survey:"+survey, e.Sealed)
		var said struct{ Answers map[string]gateway.Answer }
		if err == nil && json.Unmarshal(plain, &said) == nil {
			opened[e.By] = said.Answers["why"].Text
		}
	}
	if len(all) != len(truth) {
		l.Fatalf("%d of %d are known to have answered", len(all), len(truth))
	}
	right := map[string]int{}
	for person, text := range truth {
		right["opened"] += map[bool]int{true: 1}[opened[person] == text]
	}
	if len(opened) > 0 || g.topics["ballots:"+survey] == nil {
		return right
	}
	delete(right, "opened")
	for by, people := range map[string][]took{
		"position": all, "the last first": reversed(all),
		"entry id": slices.SortedFunc(slices.Values(all), func(a, b took) int { return strings.Compare(a.entry, b.entry) }),
		"digest":   slices.SortedFunc(slices.Values(all), func(a, b took) int { return strings.Compare(a.digest, b.digest) }),
	} {
		for order, ballots := range g.ballots(l, survey) {
			for i, one := range ballots {
				right[by+", "+order] += map[bool]int{true: 1}[truth[people[i].person] == one.Answers["why"].Text]
			}
		}
	}
	return right
}

func reversed(all []took) []took {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

// ballots are those of a survey in the orders that an attacker can find them in.
func (g loot) ballots(l *lab, survey string) map[string][]castBallot {
	l.Helper()
	standing := ballotsIn(l.T, g.topics["ballots:"+survey])
	var came []castBallot
	for _, path := range g.copied {
		db, err := sqlite.Open(context.Background(), path)
		l.must(err)
		log := sqlite.NewLog(db)
		box, err := l.topicsOn(log).Box(lodge.DefaultTenant, "ballots:"+survey).Read(context.Background())
		l.must(errors.Join(err, log.Close(), db.Close()))
		if box == nil {
			continue // it was not open yet
		}
		for _, one := range ballotsIn(l.T, box) {
			if !slices.ContainsFunc(came, func(known castBallot) bool { return bytes.Equal(known.ID, one.ID) }) {
				came = append(came, one)
			}
		}
	}
	if len(came) != len(standing) {
		l.Fatalf("%d of %d ballots stand in the copies", len(came), len(standing))
	}
	return map[string][]castBallot{"as they stand": standing, "as they came": came}
}

// students are accounts that the laboratory has not seen before.
func students() []idptest.Account {
	var all []idptest.Account
	for i := range voters {
		name := fmt.Sprintf("student-%02d", i)
		all = append(all, idptest.Account{Name: name, FullName: "Student " + name, FamilyName: name, Email: name + "@example.org", Groups: []string{"everyone"}})
	}
	return all
}
