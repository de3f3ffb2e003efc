package handin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"mime/multipart"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

// memoryFiles are Files for tests that make many.
type memoryFiles struct {
	mu  sync.Mutex
	all map[string][]byte // guarded by mu
}

type memoryPending struct {
	bytes.Buffer
	files *memoryFiles
	name  string
}

func (f *memoryFiles) Create(_ context.Context, name string) (Pending, error) {
	return &memoryPending{files: f, name: name}, nil
}

func (p *memoryPending) Commit() error {
	p.files.mu.Lock()
	defer p.files.mu.Unlock()
	p.files.all[p.name] = bytes.Clone(p.Bytes())
	return nil
}

func (p *memoryPending) Discard() error { return nil }

func (f *memoryFiles) Open(_ context.Context, name string) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, there := f.all[name]
	if !there {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (f *memoryFiles) Remove(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, name)
	return nil
}

func (f *memoryFiles) List(context.Context, string) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

func newMemoryWorld() *world {
	return &world{memory.New(), memory.NewPersonKeys(), nil, &clock{now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)}}
}

const boundary = "------------------------lodge"

// FuzzReadForm: whatever arrives as a form, it is taken whole and its receipt names what
// is stored, or it is refused with words for people and nothing is left of it.
func FuzzReadForm(f *testing.F) {
	field := func(name, value string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	file := func(name, value string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\nContent-Type: text/plain\r\n\r\n" + value + "\r\n"
	}
	const end = "--" + boundary + "--\r\n"
	for _, form := range []string{
		field("key", "k") + field("text", "words") + file("a.txt", "contents") + end,
		file("../../a.txt", "x") + file(`C:\a.txt`, "x") + file("a.exe", "MZ") + end,
		field("text", "") + file("", "") + end, field("keep", "none") + end, file("a.txt", "") + end, field("text", "cut off"), "", "--", end,
		"--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''%00%2e%2e\r\n\r\nx\r\n" + end,
		"--" + boundary + "\nname: x\n\nx\n" + end, strings.Repeat(field("x", "y"), maxParts+1) + end,
	} {
		f.Add([]byte(form))
	}
	w := newMemoryWorld()
	stored := &memoryFiles{all: map[string][]byte{}}
	topics, err := messaging.NewTopics(w.log, messaging.Keyring{Names: make([]byte, 32), Seals: map[string][]byte{"k1": make([]byte, 32)}, Current: "k1"}, messaging.TopicsOptions{})
	if err != nil {
		f.Fatal(err)
	}
	d := NewDesk(topics, w.keys, stored, w.clock, Options{})
	f.Cleanup(d.Release)
	h, err := d.Open(f.Context(), tenant, grace, Draft{To: "all", Title: "Report", Points: 10, Limits: Limits{Files: 3, FileSize: 1000, Total: 2000}})
	if err != nil {
		f.Fatal(err)
	}
	var n atomic.Int64
	f.Fuzz(func(t *testing.T, body []byte) {
		who := Hander{Person: lodge.PersonID(fmt.Sprint("p", n.Add(1)))}
		got, err := d.ReadForm(t.Context(), tenant, h.ID, who, "", multipart.NewReader(bytes.NewReader(body), boundary))
		mine, err2 := d.Mine(t.Context(), tenant, h.ID, who.Person)
		if err2 != nil {
			t.Fatal(err2)
		}
		stored.mu.Lock()
		kept := len(stored.all)
		clear(stored.all)
		stored.mu.Unlock()
		if err != nil {
			if said, ok := errors.AsType[*lodge.Error](err); !ok || said.Safe == "" || said.Code == lodge.CodeInternal {
				t.Errorf("%v is nothing to tell anybody", err)
			}
			if mine != nil || kept != 0 {
				t.Errorf("%v, and yet %+v with %d files", err, mine, kept)
			}
			return
		}
		if mine == nil || mine.SHA256 != got.Receipt.SHA256 || got.Receipt.Version != 1 || kept != len(contents{Text: mine.Text, Files: mine.Files}.all()) || len(mine.Files) > 3 {
			t.Errorf("%+v for %+v with %d files", got, mine, kept)
		}
	})
}

// letters is a file that is in nobody's memory.
type letters struct{ left int64 }

func (l *letters) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), l.left)]
	for i := range p {
		p[i] = 'x'
	}
	l.left -= int64(len(p))
	return len(p), nil
}

// sink stores a file as well as it is able to: it counts.
type sink struct {
	Files
	written int64
}

type sinkPending struct{ *sink }

func (s *sink) Create(context.Context, string) (Pending, error) { return sinkPending{s}, nil }
func (s sinkPending) Commit() error                             { return nil }
func (s sinkPending) Discard() error                            { return nil }

func (s sinkPending) Write(p []byte) (int, error) {
	s.written += int64(len(p))
	return len(p), nil
}

// A file goes from the form to where it is stored without ever being in memory: one of
// 64 MiB takes as much of that as its buffers have.
func TestALargeFileIsNeverInMemory(t *testing.T) {
	const size, most = 64 << 20, 4 << 20
	w := newMemoryWorld()
	files := &sink{Files: NoFiles{}}
	d := w.desk(t, files, nil)
	h := open(t, d, Draft{Limits: Limits{FileSize: size, Total: size}})
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"long.txt\"\r\n\r\n"
	body := io.MultiReader(strings.NewReader(head), &letters{size}, strings.NewReader("\r\n--"+boundary+"--\r\n"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := d.ReadForm(t.Context(), tenant, h.ID, Hander{Person: "ada"}, "", multipart.NewReader(body, boundary))
	runtime.ReadMemStats(&after)
	if err != nil || got.Receipt.Version != 1 || files.written < size {
		t.Fatalf("%+v, %d bytes, %v", got, files.written, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("it took %d bytes of memory in all, want at most %d", took, most)
	}
}

// Of a thousand racing tries of one hand-in over two nodes one counts, and all get its
// receipt.
func TestRel24_AThousandRacingTriesAreOneHandIn(t *testing.T) {
	w := newWorld(t)
	nodes := []*Desk{w.desk(t, w.files, nil), w.desk(t, w.files, nil)}
	h := open(t, nodes[0], Draft{})
	receipts := make(chan Receipt, 1000)
	var group sync.WaitGroup
	for i := range 2 * uploadsAtOnce { // as many as are taken at a time
		group.Go(func() {
			for try := i; try < cap(receipts); try += 2 * uploadsAtOnce {
				r, err := hand(context.Background(), nodes[i%2], h.ID, "ada", "the one key", fmt.Sprint("try ", try))
				if err != nil {
					t.Error(err)
					return
				}
				receipts <- r
			}
		})
	}
	group.Wait()
	close(receipts)
	seen := map[Receipt]bool{}
	n := 0
	for r := range receipts {
		seen[r] = true
		n++
	}
	mine, err := nodes[1].Mine(t.Context(), tenant, h.ID, "ada")
	if n != 1000 || len(seen) != 1 || err != nil || mine.Version != 1 || len(w.stored(t)) != 1 {
		t.Errorf("%d answers, receipts %v, %+v, %v, stored %v", n, seen, mine, err, w.stored(t))
	}
}

// Two persons who are one have one work, the later, and one grade; taken apart again
// each has their own. When they are erased nothing of either is left.
func TestMergedPeopleHandInOnce(t *testing.T) {
	w := newWorld(t)
	d := w.desk(t, w.files, nil)
	merged := lodge.Merged{}
	d.SetPeople(func(context.Context, lodge.Tenant) (lodge.Merged, error) { return merged, nil })
	h := open(t, d, Draft{})
	for _, person := range []lodge.PersonID{"ada", "guest", "soren"} {
		if _, err := hand(t.Context(), d, h.ID, person, "", "of "+string(person)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Grade(t.Context(), tenant, h.ID, person, grace, 5, "words for "+string(person)); err != nil {
			t.Fatal(err)
		}
		w.clock.pass(time.Minute)
	}
	merged["guest"] = "ada"
	all, err := d.All(t.Context(), tenant, h.ID)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, person := range []lodge.PersonID{"ada", "guest"} {
		mine, err := d.Mine(t.Context(), tenant, h.ID, person)
		if err != nil || mine.Person != "ada" || contentsOf(t, d, h.ID, person) != "of guest" {
			t.Errorf("%s: %+v, %v", person, mine, err)
		}
	}
	if one, err := d.Get(t.Context(), tenant, h.ID); err != nil || one.HandedIn != 2 {
		t.Errorf("%+v, %v", one, err)
	}
	if handed, err := d.HandedInBy(t.Context(), tenant, merged.All("ada")); err != nil || len(handed) != 2 {
		t.Errorf("%+v, %v", handed, err)
	}
	// What they hand in as one replaces both.
	if _, err := hand(t.Context(), d, h.ID, "ada", "", "as one"); err != nil || contentsOf(t, d, h.ID, "guest") != "as one" {
		t.Error(err)
	}
	delete(merged, "guest")
	if contentsOf(t, d, h.ID, "guest") != "of guest" || contentsOf(t, d, h.ID, "ada") != "as one" {
		t.Error("taken apart they have something else")
	}
	merged["guest"] = "ada"
	for _, person := range []lodge.PersonID{"ada", "guest"} {
		if err := errors.Join(w.keys.Erase(t.Context(), tenant, person), d.Erase(t.Context(), tenant, person)); err != nil {
			t.Fatal(err)
		}
	}
	all, err = d.All(t.Context(), tenant, h.ID)
	if err != nil || len(w.stored(t)) != 1 {
		t.Errorf("%v, stored %v", err, w.stored(t))
	}
	for _, work := range all {
		if gone := work.Person == "ada"; work.Erased != gone || gone && (work.Grade != nil || work.Name != "") {
			t.Errorf("%+v", work)
		}
	}
}
