package booking

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/deploy/samples"
)

func read(t testing.TB, text string, lenient bool) (Catalogue, []Fault, error) {
	t.Helper()
	return ReadManifest(strings.NewReader(text), "test.yaml", lenient)
}

func mustRead(t testing.TB, data []byte) Catalogue {
	t.Helper()
	c, faults, err := ReadManifest(bytes.NewReader(data), "sample", false)
	if err != nil {
		t.Fatalf("%v\n%v", err, faults)
	}
	return c
}

func TestSamplesDescribeTheSameLaboratory(t *testing.T) {
	own, theirs := mustRead(t, samples.Lodge), mustRead(t, samples.Practable)
	for _, c := range []Catalogue{own, theirs} {
		if faults := c.Check(); len(faults) > 0 {
			t.Fatal(faults)
		}
	}
	if len(own.Roles) == 0 || len(own.Pools) == 0 {
		t.Error("the sample shows no roles or no pools")
	}
	// What the formats cannot share: descriptions' names, addresses, pools, roles,
	// replies.
	level := func(c Catalogue) Catalogue {
		for name, e := range c.Experiments {
			e.Streams = slices.Clone(e.Streams)
			for i := range e.Streams {
				e.Streams[i].URL = ""
			}
			c.Experiments[name] = e
		}
		for name, s := range c.Slots {
			s.Description = c.Title(s.Description, name)
			c.Slots[name] = s
		}
		for name, p := range c.Policies {
			p.Description = c.Title(p.Description, name)
			c.Policies[name] = p
		}
		for name, g := range c.Groups {
			g.Description, g.Replies = c.Title(g.Description, name), false
			c.Groups[name] = g
		}
		for name, u := range c.UIs {
			u.URL = strings.TrimPrefix(strings.TrimPrefix(u.URL, "https://static.lab.example"), "{{assets}}")
			c.UIs[name] = u
		}
		c.Descriptions, c.Pools, c.Roles = nil, nil, nil
		return c
	}
	a, errA := json.MarshalIndent(level(own), "", " ")
	b, errB := json.MarshalIndent(level(theirs), "", " ")
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("the samples differ (%v, %v):\n%s\n%s", errA, errB, a, b)
	}
	e := theirs.Experiments["pend00"]
	want := []Stream{
		{"data", "pend00-data", []string{"read", "write"}, "session", "", 0},
		{"video", "pend00-video", []string{"read"}, "session", "", 0},
	}
	if !reflect.DeepEqual(e.Streams, want) {
		t.Errorf("streams of pend00: %+v", e.Streams)
	}
}

// The faults that real manifests have, each with its line in the file.
func TestEveryFaultIsNamedWithItsLine(t *testing.T) {
	data, err := os.ReadFile("testdata/faulty.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	lineOf := func(text string) int {
		return 1 + slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, text) })
	}
	_, faults, err := ReadManifest(bytes.NewReader(data), "faulty.yaml", false)
	if err == nil || !strings.HasPrefix(err.Error(), "faulty.yaml:") {
		t.Fatalf("strict reading: %v", err)
	}
	has := func(line int, object, words string) {
		t.Helper()
		if !slices.ContainsFunc(faults, func(f Fault) bool {
			return f.Line == line && f.Object == object && strings.Contains(f.Message, words)
		}) {
			t.Errorf("no fault at line %d: %s: …%s…", line, object, words)
		}
	}
	has(lineOf("description: d-g"), "groups.g", `"d-g" is not among the descriptions`)
	has(lineOf("- p")+1, "groups.g", "an item of policies is empty")
	has(lineOf("display_guides: [gone]"), "policies.p", `"gone" is not among the display_guides`)
	has(lineOf("[good, gone, elsewhere]"), "policies.p", `slot "gone" is not among the slots`)
	has(lineOf("[good, gone, elsewhere]"), "policies.p", `slot "elsewhere" says that its policy is "q"`)
	has(lineOf("upside-down:")+2, "policies.upside-down", "min_duration 20m is above max_duration 10m")
	has(lineOf("streams: [data, gone]"), "resources.rig", `stream "gone" is not among the streams`)
	has(lineOf("colour: red"), "resources.rig", "colour is not a field")
	has(lineOf("  good: {"), "slots.good", `of type "resource", not "slot"`)
	has(lineOf("  elsewhere: {"), "slots.elsewhere", `"d-gone" is not among the descriptions`)
	has(lineOf("  orphan: {"), "slots.orphan", `orphan: policy "p" does not list it`)
	has(lineOf("  lost: {"), "slots.lost", `resource "no-rig" is not among the resources`)
	has(lineOf("  lost: {"), "slots.lost", `window "no-window" is not among the windows`)
	has(lineOf("  u: {url"), "uis.u", `stream "gone" is not among the streams`)
	has(lineOf("us: {uis"), "ui_sets.us", `"gone" is not among the uis`)
	has(lineOf("- start: 2026"), "windows.w.allowed[0]", "an interval has no end")
	has(lineOf("- end: 2027"), "windows.w.allowed[1]", "an interval has no start")
	has(lineOf("denied:")-1, "windows.w", "an item of allowed is empty")
	has(lineOf("denied:"), "windows.w", "ends (2026-06-01T00:00:00Z) before it has begun")
	has(lineOf("yesterday"), "windows.w.denied[1]", `start is "yesterday", not a time`)
	if len(faults) != 20 {
		t.Errorf("%d faults: %v", len(faults), faults)
	}
}

func TestLenientReadingKeepsWhatIsSound(t *testing.T) {
	data, err := os.ReadFile("testdata/faulty.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, faults, err := ReadManifest(bytes.NewReader(data), "faulty.yaml", true)
	if err != nil || len(faults) == 0 {
		t.Fatal(err, faults)
	}
	if again := c.Check(); len(again) > 0 {
		t.Errorf("what was kept is not sound: %v", again)
	}
	if got := sortedKeys(c.Slots); !slices.Equal(got, []string{"elsewhere", "good"}) {
		t.Errorf("slots kept: %v", got)
	}
	if got := c.Groups["g"].Policies; !slices.Equal(got, []string{"p"}) {
		t.Errorf("policies of g: %v", got)
	}
	if w := c.Windows["w"]; len(w.Allowed) != 1 || len(w.Denied) != 0 || w.Allowed[0].Start.Year() != 2026 {
		t.Errorf("window: %+v", w)
	}
	if p := c.Policies["p"]; p.MinDuration != nil || p.MaxDuration == nil || time.Duration(*p.MaxDuration) != 10*time.Minute {
		t.Errorf("policy: %+v", p)
	}
	if got := c.Experiments["rig"].Streams; len(got) != 1 || got[0].Topic != "rig00-data" {
		t.Errorf("streams: %+v", got)
	}
}

func TestJSONIsReadAsYAMLIs(t *testing.T) {
	c, faults, err := read(t, "{\n\t\"resources\": {\n\t\t\"rig\": {\"topic_stub\": \"r\\u0065d\", \"description\": \"gone\"}\n\t},"+
		"\"descriptions\": {\"smile\": {\"name\": \"\\ud83d\\ude00\"}}}", true)
	if err != nil {
		t.Fatal(err)
	}
	if c.Experiments["rig"].TopicStub != "red" || c.Descriptions["smile"].Title != "😀" {
		t.Errorf("read %+v", c)
	}
	if len(faults) != 1 || faults[0].Line != 3 {
		t.Errorf("faults: %v", faults)
	}
}

func TestOwnFormatMayHoldAPart(t *testing.T) {
	const part = "lodge: v1\ngroups:\n  g: {policies: [elsewhere]}\n"
	c, _, err := read(t, part, false)
	if err != nil {
		t.Fatal(err)
	}
	if faults := c.Check(); len(faults) != 1 || faults[0].Object != "groups.g" {
		t.Errorf("as a whole: %v", faults)
	}
	// A kind that the file does have is checked.
	if _, faults, err := read(t, part+"policies:\n  p: {}\n", false); err == nil || faults[0].Line != 3 {
		t.Errorf("%v %v", err, faults)
	}
}

// What a file says to remove is read with it; a catalogue to begin with has nothing
// to remove.
func TestRemovalsAreRead(t *testing.T) {
	const text = "lodge: v1\nremove:\n  slots: [a, b]\n  roles: [r]\n"
	ch, _, err := ReadChange(strings.NewReader(text), "t", false)
	if got := fmt.Sprint(ch.Remove); err != nil || got != "[slots.a slots.b roles.r]" {
		t.Errorf("%s %v", got, err)
	}
	if _, _, err := read(t, text, false); err == nil {
		t.Error("a catalogue that removes is read as a whole one")
	}
	for bad, line := range map[string]int{"remove:\n  rigs: [a]\n": 3, "remove: [a]\n": 2, "remove:\n  slots:\n  - a/b\n": 3} {
		if _, faults, err := ReadChange(strings.NewReader("lodge: v1\n"+bad), "t", false); err == nil || faults[0].Line != line {
			t.Errorf("%q: %v %v", bad, faults, err)
		}
	}
}

// Objects that a file does not have are there already, perhaps: whether they are is
// seen when it is applied.
func TestAChangeMayReferToWhatIsThere(t *testing.T) {
	ch, _, err := ReadChange(strings.NewReader("lodge: v1\nslots: {s: {experiment: x, policy: p, ui_set: u}}\npolicies: {other: {}}\n"), "t", false)
	if err != nil || ch.Put.Slots["s"].Policy != "p" {
		t.Errorf("%+v %v", ch.Put.Slots, err)
	}
}

func TestUnreadableFilesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty":      "",
		"a list":     "- a\n",
		"not YAML":   "a: [",
		"unknown":    "hello: world\n",
		"other":      "lodge: v9\n",
		"no objects": "lodge: v1\n",
		"scalar":     "42",
	} {
		for _, lenient := range []bool{false, true} {
			if _, _, err := read(t, text, lenient); err == nil {
				t.Errorf("%s (lenient %v): no error", name, lenient)
			}
		}
	}
}

func TestAFieldThatIsThereTwiceIsAFault(t *testing.T) {
	_, faults, err := read(t, "lodge: v1\nwindows:\n  w: {allowed: []}\n  w: {allowed: []}\n", false)
	if err == nil || len(faults) != 1 || faults[0].Line != 4 {
		t.Errorf("%v %v", err, faults)
	}
}

// A manifest as large as production ones.
func synthetic() []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("windows:\n  w: {allowed: [{start: 2026-01-01T00:00:00Z, end: 2027-01-01T00:00:00Z}]}\n")
	p("streams:\n  data: {for: data, topic: auto, scopes: [read, write]}\n")
	p("uis:\n  u: {url: x, streams_required: [data]}\nui_sets:\n  us: {uis: [u]}\nresources:\n")
	for i := range 110 {
		p("  r%d: {topic_stub: r%d, streams: [data]}\n", i, i)
	}
	p("slots:\n")
	for i := range 540 {
		p("  s%d: {resource: r%d, policy: p%d, ui_set: us, window: w}\n", i, i%110, i%20)
	}
	p("policies:\n")
	for i := range 20 {
		p("  p%d:\n    slots:\n", i)
		for s := i; s < 540; s += 20 {
			p("    - s%d\n", s)
		}
	}
	return b.Bytes()
}

func TestALargeManifestIsRead(t *testing.T) {
	c := mustRead(t, synthetic())
	if len(c.Experiments) != 110 || len(c.Slots) != 540 || len(c.Policies) != 20 {
		t.Errorf("%d experiments, %d slots, %d policies", len(c.Experiments), len(c.Slots), len(c.Policies))
	}
}

func FuzzReadManifest(f *testing.F) {
	faulty, err := os.ReadFile("testdata/faulty.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(samples.Lodge)
	f.Add(samples.Practable)
	f.Add(faulty)
	f.Add([]byte(`{"resources":{"a":{"streams":[null]}}}`))
	f.Add([]byte("a: &a\n  <<: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		strict, faults, err := ReadManifest(bytes.NewReader(data), "f", false)
		if err == nil && len(faults) > 0 {
			t.Fatalf("strict reading passes over %v", faults)
		}
		lenient, _, lerr := ReadManifest(bytes.NewReader(data), "f", true)
		if err == nil && (lerr != nil || !reflect.DeepEqual(strict, lenient)) {
			t.Fatalf("a sound file reads differently when lenient: %v", lerr)
		}
		if lerr != nil {
			return
		}
		for _, w := range lenient.Windows {
			for _, i := range append(w.Allowed, w.Denied...) {
				if i.empty() || i.Start.Before(earliest) {
					t.Fatalf("window with %v", i)
				}
			}
		}
		objects, err := lenient.objects()
		if err != nil {
			t.Fatal(err)
		}
		back, err := assemble(objects)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := mustJSON(t, lenient), mustJSON(t, back); a != b {
			t.Fatalf("stored and read back:\n%s\n%s", a, b)
		}
	})
}

// A file that changes a catalogue is read without fear, and what is written of a
// catalogue reads back as it was.
func FuzzReadChange(f *testing.F) {
	f.Add(samples.Lodge)
	f.Add([]byte("lodge: v1\nremove: {slots: [a, b], gone: [c]}\n"))
	f.Add([]byte("lodge: v1\nremove: [a]\nexperiments: {x: {state: {online: false}}}\n"))
	f.Add([]byte("lodge: v1\nslots: {s: {experiment: elsewhere, policy: p, ui_set: u}}\n"))
	f.Add([]byte("lodge: v1\noverrides: {o: {subjects: ['a:b'], max_bookings: 3}}\nroles: {r: {role: viewer, scope: tenant, claims: [{issuer: a, claim: b, value: c}]}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ch, _, err := ReadChange(bytes.NewReader(data), "f", true)
		if err != nil {
			return
		}
		for _, id := range ch.Remove {
			if back, ok := ParseObjectID(id.String()); !ok || back != id {
				t.Fatalf("removes %q", id)
			}
		}
		if ch.Put.empty() {
			return
		}
		text, err := ch.Put.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		again, faults, err := ReadChange(bytes.NewReader(text), "again", true)
		if err != nil {
			t.Fatalf("%v %v\n%s", err, faults, text)
		}
		if a, b := mustJSON(t, ch.Put), mustJSON(t, again.Put); a != b {
			t.Fatalf("written and read back:\n%s\n%s\n%s", a, b, text)
		}
	})
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
