package handin

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// history draws the entries of a hand-in's topic, sensible and not.
func history(rt *rapid.T, begun bool) []messaging.Item {
	kinds := rapid.SampledFrom([]string{kindOpened, kindReceived, kindReceived, kindReceived, kindGraded, kindReleased, kindClosed, "of-tomorrow", ""})
	people := rapid.SampledFrom([]string{"a", "b", "c", ""})
	items := []messaging.Item{}
	if begun {
		items = append(items, item(entry{Kind: kindOpened, HandIn: "h", At: time.Unix(1, 0).UTC(), Draft: &Draft{Title: "T"}}))
	}
	for i := range rapid.IntRange(0, 40).Draw(rt, "entries") {
		e := entry{
			Kind:   kinds.Draw(rt, "kind"),
			HandIn: rapid.SampledFrom([]string{"h", "h", "h", "h", "other", ""}).Draw(rt, "hand-in"),
			At:     time.Unix(int64(i+2), 0).UTC(),
			By:     lodge.PersonID(people.Draw(rt, "by")),
		}
		switch e.Kind {
		case kindOpened:
			e.Draft = &Draft{Title: fmt.Sprint("T", i)}
		case kindReceived:
			// Every upload has a key of its own, or repeats one of its person's.
			e.Key = fmt.Sprint(e.By, rapid.IntRange(0, 8).Draw(rt, "key"))
			e.Files, e.Sealed = []string{fmt.Sprint("f", i)}, []byte{byte(i)}
		case kindGraded:
			e.Person, e.Sealed = lodge.PersonID(people.Draw(rt, "of")), []byte{byte(i)}
		}
		items = append(items, item(e))
	}
	return items
}

func item(e entry) messaging.Item {
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // an entry can always be written
	}
	return messaging.Item{Body: body}
}

func folded(items []messaging.Item) *state {
	var s state
	for _, it := range items {
		fold(&s, it)
	}
	return &s
}

func written(rt *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		rt.Fatal(err)
	}
	return string(b)
}

// A snapshot anywhere, and anything unknown anywhere, changes nothing; and the same
// entries always make the same.
func TestFoldIsTheSameThroughSnapshotsAndUnknownEntries(t *testing.T) {
	codec := messaging.JSON[state]("handin/1")
	rapid.Check(t, func(rt *rapid.T) {
		items := history(rt, rapid.Bool().Draw(rt, "well begun"))
		want := written(rt, folded(items))
		if got := written(rt, folded(items)); got != want {
			rt.Fatalf("again %s, before %s", got, want)
		}
		cut := rapid.IntRange(0, len(items)).Draw(rt, "cut")
		data, err := codec.Marshal(folded(items[:cut]))
		if err != nil {
			rt.Fatal(err)
		}
		var s state
		if err := codec.Unmarshal(data, &s); err != nil {
			rt.Fatal(err)
		}
		for _, it := range items[cut:] {
			fold(&s, it)
		}
		if got := written(rt, &s); got != want {
			rt.Fatalf("through a snapshot %s, want %s", got, want)
		}
		noise := messaging.Item{Body: rapid.SampledFrom([][]byte{nil, []byte("{"), []byte(`[]`), []byte(`{"kind":"new","handin":"h"}`), []byte(`{"kind":5}`)}).Draw(rt, "noise")}
		if got := written(rt, folded(slices.Insert(slices.Clone(items), cut, noise))); got != want {
			rt.Fatalf("with an unknown entry %s, want %s", got, want)
		}
	})
}

// What is repeated, one after the other or all of it once more, changes nothing of
// anybody's work: an upload counts once, however often it arrives.
func TestFoldTakesEachUploadOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		items := history(rt, true)
		want := folded(items)
		twice := []messaging.Item{}
		for _, it := range items {
			twice = append(twice, it, it)
		}
		if got := folded(twice); written(rt, got) != written(rt, want) {
			rt.Fatalf("each twice: %s, want %s", written(rt, got), written(rt, want))
		}
		replayed := folded(append(slices.Clone(items), items...))
		if written(rt, replayed.Work) != written(rt, want.Work) || !replayed.ClosedAt.Equal(want.ClosedAt) || !replayed.ReleasedAt.Equal(want.ReleasedAt) {
			rt.Fatalf("all twice: %s, want %s", written(rt, replayed), written(rt, want))
		}
	})
}

// Of each person the last work that came in time counts, at the place at which they
// first handed in; the versions count what was taken.
func TestFoldKeepsTheLastWorkOfEach(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		items := history(rt, true)
		type expected struct {
			keys  []string
			at    time.Time
			files []string
		}
		want := map[lodge.PersonID]*expected{}
		var order []lodge.PersonID
		closed := false
		for _, it := range items {
			var e entry
			if err := json.Unmarshal(it.Body, &e); err != nil {
				rt.Fatal(err)
			}
			if e.HandIn != "h" {
				continue
			}
			switch {
			case e.Kind == kindClosed:
				closed = true
			case e.Kind == kindReceived && e.By != "" && !closed:
				one := want[e.By]
				if one == nil {
					one = &expected{}
					want[e.By] = one
					order = append(order, e.By)
				}
				if !slices.Contains(one.keys, e.Key) {
					one.keys, one.at, one.files = append(one.keys, e.Key), e.At, e.Files
				}
			}
		}
		s := folded(items)
		if len(s.Work) != len(want) {
			rt.Fatalf("%d people, want %d", len(s.Work), len(want))
		}
		for i, person := range order {
			w, one := s.Work[person], want[person]
			if w.Order != i || w.Version != len(one.keys) || !w.At.Equal(one.at) || !slices.Equal(w.Files, one.files) {
				rt.Fatalf("%s: %+v, want %+v at %d", person, w, one, i)
			}
		}
	})
}

// The list of hand-ins, too, is the same through a snapshot anywhere and with each
// entry twice.
func TestTheListIsTheSameThroughSnapshotsAndRepeats(t *testing.T) {
	kinds := rapid.SampledFrom([]string{kindOpened, kindOpened, kindClosed, kindAnnounced, kindDropped, "of-tomorrow"})
	ids := rapid.SampledFrom([]string{"h", "i", ""})
	codec := messaging.JSON[index]("handins/1")
	rapid.Check(t, func(rt *rapid.T) {
		var items []messaging.Item
		for i := range rapid.IntRange(0, 30).Draw(rt, "entries") {
			e := entry{Kind: kinds.Draw(rt, "kind"), HandIn: ids.Draw(rt, "hand-in"), At: time.Unix(int64(i+1), 0).UTC(), By: "a"}
			if e.Kind == kindOpened {
				e.Draft = &Draft{Title: fmt.Sprint("T", i)}
			}
			items = append(items, item(e))
		}
		cut := rapid.IntRange(0, len(items)).Draw(rt, "cut")
		var whole, halved, twice index
		for i, it := range items {
			if i == cut {
				data, err := codec.Marshal(&halved)
				halved = index{}
				if err == nil {
					err = codec.Unmarshal(data, &halved)
				}
				if err != nil {
					rt.Fatal(err)
				}
			}
			for _, x := range []*index{&whole, &halved, &twice, &twice} {
				foldIndex(x, it)
			}
		}
		if a, b, c := written(rt, &whole), written(rt, &halved), written(rt, &twice); a != b || a != c {
			rt.Fatalf("%s, through a snapshot %s, each twice %s", a, b, c)
		}
	})
}
