package handin

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenant lodge.Tenant   = "t"
	grace  lodge.PersonID = "grace"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is what nodes share.
type world struct {
	log   messaging.Log
	keys  messaging.PersonKeys
	files *Dir
	clock *clock
}

func newWorld(t *testing.T) *world {
	t.Helper()
	files, err := OpenDir(filepath.Join(t.TempDir(), "files"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return &world{memory.New(), memory.NewPersonKeys(), files, &clock{now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)}}
}

func (w *world) desk(t *testing.T, files Files, scan Scanner) *Desk {
	t.Helper()
	root := []byte("0123456789abcdef0123456789abcdef")
	topics, err := messaging.NewTopics(w.log, messaging.Keyring{Names: root, Seals: map[string][]byte{"k1": root}, Current: "k1"}, messaging.TopicsOptions{SnapshotEvery: 20})
	if err != nil {
		t.Fatal(err)
	}
	d := NewDesk(topics, w.keys, files, w.clock, Options{Scan: scan})
	t.Cleanup(d.Release)
	return d
}

func open(t *testing.T, d *Desk, draft Draft) HandIn {
	t.Helper()
	draft.To, draft.Title, draft.Points = "all", "Report", 10
	h, err := d.Open(t.Context(), tenant, grace, draft)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// hand hands in one text file.
func hand(ctx context.Context, d *Desk, id string, person lodge.PersonID, key, contents string) (Receipt, error) {
	u, err := d.Begin(ctx, tenant, id, Hander{person, string(person), "Sur" + string(person)}, key)
	if err != nil {
		return Receipt{}, err
	}
	defer u.End(ctx)
	if err := u.File(ctx, "report.txt", strings.NewReader(contents)); err != nil {
		return Receipt{}, err
	}
	return u.Done(ctx)
}

func (w *world) stored(t *testing.T) (names []string) {
	t.Helper()
	for name, err := range w.files.List(t.Context(), ".") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func contentsOf(t *testing.T, d *Desk, id string, person lodge.PersonID) string {
	t.Helper()
	mine, err := d.Mine(t.Context(), tenant, id, person)
	if err != nil || mine == nil || len(mine.Files) != 1 {
		t.Fatalf("%+v %v", mine, err)
	}
	_, r, err := d.OpenFile(t.Context(), tenant, id, person, mine.Files[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Of many who replace the same work at once, on two nodes, one whole version is left.
func TestRacingReplacementsLeaveOneWholeVersion(t *testing.T) {
	w := newWorld(t)
	one, two := w.desk(t, w.files, nil), w.desk(t, w.files, nil)
	h := open(t, one, Draft{})
	var group sync.WaitGroup
	for i := range 60 {
		d := []*Desk{one, two}[i%2]
		group.Go(func() {
			for {
				_, err := hand(context.Background(), d, h.ID, "ada", "", fmt.Sprintf("%d|%s|%d", i, strings.Repeat("x", 70_000), i))
				if lodge.CodeOf(err) == lodge.CodeTooMany {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	group.Wait()
	got := strings.Split(contentsOf(t, two, h.ID, "ada"), "|")
	if len(got) != 3 || got[0] != got[2] || len(got[1]) != 70_000 {
		t.Errorf("it is not whole")
	}
	if n := len(w.stored(t)); n != 1 {
		t.Errorf("%d files are stored", n)
	}
	if mine, _ := one.Mine(t.Context(), tenant, h.ID, "ada"); mine.Version != 60 {
		t.Errorf("version %d", mine.Version)
	}
}

func TestRel23_OneKeyOneReceipt(t *testing.T) {
	w := newWorld(t)
	d := w.desk(t, w.files, nil)
	h := open(t, d, Draft{Deadline: w.clock.Now().Add(time.Hour)})
	first, err := hand(t.Context(), d, h.ID, "ada", "k", "first")
	if err != nil {
		t.Fatal(err)
	}
	w.clock.pass(2 * time.Hour) // a retry after the deadline is of what was in time
	again, err := hand(t.Context(), d, h.ID, "ada", "k", "other")
	if err != nil || again != first || contentsOf(t, d, h.ID, "ada") != "first" {
		t.Errorf("%+v %+v %v", first, again, err)
	}
	if _, err := hand(t.Context(), d, h.ID, "ada", "l", "late"); lodge.CodeOf(err) != lodge.CodeConflict {
		t.Error(err)
	}
}

func TestLateRules(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		late     Late
		after    time.Duration
		standing Standing
		days     int
		counted  float64
	}{
		{Refuse, 0, Open, 0, 10}, {Refuse, 1, Closed, 1, 10},
		{Accept, 0, Open, 0, 10}, {Accept, time.Second, Later, 1, 10}, {Accept, 48 * time.Hour, Later, 2, 10},
		{Penalty, 0, Open, 0, 10}, {Penalty, 1, Later, 1, 7}, {Penalty, 24 * time.Hour, Later, 1, 7}, {Penalty, 24*time.Hour + 1, Later, 2, 4}, {Penalty, 240 * time.Hour, Later, 10, 0},
	} {
		h := HandIn{Draft: Draft{Deadline: at, Late: c.late, PerDay: 3, Points: 10}}
		then := at.Add(c.after)
		if h.At(then) != c.standing || h.DaysLate(then) != c.days || h.Counted(10, then) != c.counted {
			t.Errorf("%s after %s: %s, %d days, %v", c.late, c.after, h.At(then), h.DaysLate(then), h.Counted(10, then))
		}
	}
}

// fullDisk is a disk that takes so many bytes and no more.
type fullDisk struct {
	*Dir
	left int
}

type fullPending struct {
	Pending
	disk *fullDisk
}

func (f *fullDisk) Create(ctx context.Context, name string) (Pending, error) {
	p, err := f.Dir.Create(ctx, name)
	return &fullPending{p, f}, err
}

func (p *fullPending) Write(b []byte) (int, error) {
	if p.disk.left -= len(b); p.disk.left < 0 {
		return 0, syscall.ENOSPC
	}
	return p.Pending.Write(b)
}

func TestRel18_AFullDiskIsNotAcknowledgedAndKeepsWhatWasThere(t *testing.T) {
	w := newWorld(t)
	disk := &fullDisk{w.files, 10_000}
	d := w.desk(t, disk, nil)
	h := open(t, d, Draft{})
	if _, err := hand(t.Context(), d, h.ID, "ada", "", "the first"); err != nil {
		t.Fatal(err)
	}
	if _, err := hand(t.Context(), d, h.ID, "ada", "", strings.Repeat("x", 100_000)); lodge.CodeOf(err) != lodge.CodeUnavailable || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if got := contentsOf(t, d, h.ID, "ada"); got != "the first" || len(w.stored(t)) != 1 {
		t.Errorf("%q, %v", got, w.stored(t))
	}
	disk.left = 1 << 20
	if _, err := hand(t.Context(), d, h.ID, "ada", "", strings.Repeat("x", 100_000)); err != nil {
		t.Error(err)
	}
}

// A node that died in the middle leaves files that the next sweep removes, and no other.
func TestOrphansAreSwept(t *testing.T) {
	w := newWorld(t)
	d := w.desk(t, w.files, nil)
	h := open(t, d, Draft{})
	if _, err := hand(t.Context(), d, h.ID, "ada", "", "counts"); err != nil {
		t.Fatal(err)
	}
	u, err := d.Begin(t.Context(), tenant, h.ID, Hander{Person: "eve"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := u.File(t.Context(), "a.txt", strings.NewReader("never done")); err != nil {
		t.Fatal(err)
	}
	p, err := w.files.Create(t.Context(), personFolder(tenant, h.ID, "eve")+"/"+newFileID(w.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	next := w.desk(t, w.files, nil)
	if n, err := next.Sweep(t.Context(), tenant, w.clock.Now()); n != 0 || err != nil {
		t.Errorf("%d that may be under way, %v", n, err)
	}
	w.clock.pass(time.Hour)
	if n, err := next.Sweep(t.Context(), tenant, w.clock.Now()); n != 2 || err != nil || len(w.stored(t)) != 1 {
		t.Errorf("%d, %v, left %v", n, err, w.stored(t))
	}
	if contentsOf(t, next, h.ID, "ada") != "counts" {
		t.Error("what counts was swept")
	}
}

func TestSec45_WorkGoesWithItsPersonAndWithTime(t *testing.T) {
	w := newWorld(t)
	d := w.desk(t, w.files, nil)
	h := open(t, d, Draft{})
	for _, person := range []lodge.PersonID{"ada", "eve"} {
		if _, err := hand(t.Context(), d, h.ID, person, "", "secret of "+string(person)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Grade(t.Context(), tenant, h.ID, person, grace, 5, "words"); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.keys.Erase(t.Context(), tenant, "ada"), d.Erase(t.Context(), tenant, "ada")); err != nil {
		t.Fatal(err)
	}
	all, err := d.All(t.Context(), tenant, h.ID)
	if err != nil || len(all) != 2 || !all[0].Erased || all[0].Grade != nil || all[1].Grade == nil || len(w.stored(t)) != 1 {
		t.Errorf("%+v %v %v", all, err, w.stored(t))
	}
	if _, err := hand(t.Context(), d, h.ID, "ada", "", "back"); lodge.CodeOf(err) != lodge.CodeForbidden {
		t.Error(err)
	}
	if n, err := d.Retain(t.Context(), tenant, h.OpenedAt); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := d.Retain(t.Context(), tenant, h.OpenedAt.Add(1)); n != 1 || err != nil || len(w.stored(t)) != 0 {
		t.Error(n, err)
	}
	if _, err := d.Get(t.Context(), tenant, h.ID); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Error(err)
	}
}

// No stored file opens when a byte of it is altered, or its end is cut off.
func TestRel19_AStoredFileIsWholeOrRefused(t *testing.T) {
	key := bytes.Repeat([]byte{1}, 32)
	for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize} {
		var sealed bytes.Buffer
		s, err := newSealer(&sealed, key, "a/b")
		if err != nil {
			t.Fatal(err)
		}
		plain := bytes.Repeat([]byte("x"), size)
		if _, err := s.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		read := func(b []byte, name string) ([]byte, error) {
			o, err := newOpener(bytes.NewReader(b), key, name)
			if err != nil {
				return nil, err
			}
			return io.ReadAll(o)
		}
		if got, err := read(sealed.Bytes(), "a/b"); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d: %v", size, err)
		}
		if _, err := read(sealed.Bytes(), "a/c"); !errors.Is(err, errNotWhole) {
			t.Errorf("%d: as another file: %v", size, err)
		}
		head := len(magic) + saltSize
		for _, cut := range []int{0, head, head + tagSize, head + chunkSize + tagSize, sealed.Len() - 1} {
			if cut >= sealed.Len() {
				continue
			}
			if _, err := read(sealed.Bytes()[:cut], "a/b"); !errors.Is(err, errNotWhole) {
				t.Errorf("%d cut at %d: %v", size, cut, err)
			}
		}
		for at := 0; at < sealed.Len(); at += 1 + sealed.Len()/50 {
			bad := bytes.Clone(sealed.Bytes())
			bad[at] ^= 1
			if _, err := read(bad, "a/b"); !errors.Is(err, errNotWhole) {
				t.Errorf("%d flipped at %d: %v", size, at, err)
			}
		}
	}
}

func TestScanner(t *testing.T) {
	w := newWorld(t)
	for script, want := range map[string]lodge.Code{
		"cat >/dev/null": "", "cat >/dev/null; echo Eicar; exit 1": lodge.CodeRefused, "exit 2": lodge.CodeUnavailable, "exec sleep 60": lodge.CodeUnavailable,
		`test "$(cat)" = contents && test -z "$HOME"`: "",
	} {
		limit := 10 * time.Second
		if strings.Contains(script, "sleep") {
			limit = 50 * time.Millisecond
		}
		d := w.desk(t, w.files, Command(limit, "sh", "-c", script))
		h := open(t, d, Draft{})
		_, err := hand(t.Context(), d, h.ID, "ada", "", "contents")
		if lodge.CodeOf(err) != want || want == lodge.CodeRefused && !strings.Contains(err.Error(), "Eicar") {
			t.Errorf("%s: %v", script, err)
		}
	}
}

func TestZipNamesAreSafeAndUnique(t *testing.T) {
	w := newWorld(t)
	d := w.desk(t, w.files, nil)
	h := open(t, d, Draft{})
	for i, name := range []string{"../../Ada", "ada", "=cmd"} {
		u, err := d.Begin(t.Context(), tenant, h.ID, Hander{lodge.PersonID(fmt.Sprint(i)), name, ""}, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"../a.txt", `c:\A.TXT`} {
			if err := u.File(t.Context(), file, strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := u.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
		u.End(t.Context())
	}
	var b bytes.Buffer
	if err := d.WriteZip(t.Context(), tenant, h.ID, &b); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range z.File {
		if !filepath.IsLocal(f.Name) || seen[strings.ToLower(f.Name)] || strings.HasPrefix(f.Name, "=") {
			t.Errorf("%q", f.Name)
		}
		seen[strings.ToLower(f.Name)] = true
	}
	if len(seen) != 7 {
		t.Errorf("%v", seen)
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"a.txt", "../../etc/passwd", "con.txt", "\u202egpj.exe", strings.Repeat("ä", 300) + ".pdf", "", ".", "=1+1.csv", "a/\x00b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		name := cleanName(given)
		if name == "" || len(name) > maxName+1 || !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\\x00\n\r") || strings.ContainsRune("=+-@.", rune(name[0])) {
			t.Errorf("%q gives %q", given, name)
		}
	})
}

// Whoever was graded with nothing handed in is among those of whom something is kept.
func TestAGradeForNothingIsSomebodysToo(t *testing.T) {
	w := newWorld(t)
	d := w.desk(t, w.files, nil)
	h := open(t, d, Draft{})
	if _, err := d.Grade(t.Context(), tenant, h.ID, "soren", grace, 0, "Nothing came."); err != nil {
		t.Fatal(err)
	}
	handed, err := d.HandedInBy(t.Context(), tenant, []lodge.PersonID{"ada", "soren"})
	if err != nil || len(handed) != 1 || handed[0] != (Handed{HandIn: h.ID, Title: h.Title, Person: "soren"}) {
		t.Errorf("%+v, %v", handed, err)
	}
}
