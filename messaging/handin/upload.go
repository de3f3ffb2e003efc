package handin

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// uploadsAtOnce is how many uploads of one person a node takes at a time.
const uploadsAtOnce = 3

// uploader is whose uploads are counted.
type uploader struct {
	tenant lodge.Tenant
	person lodge.PersonID
}

// A Hander is who hands in, with the names that an instructor knows them by.
type Hander struct {
	Person        lodge.PersonID
	Name, Surname string
}

// An Upload is work on its way in, used by one goroutine. Nothing of it counts, and
// what was handed in before does, until Done; End is called in any case.
type Upload struct {
	d      *Desk
	tenant lodge.Tenant
	id     string
	who    Hander
	key    []byte
	repeat string // what makes it repeatable, hashed
	given  *Receipt
	one    HandIn

	work  contents
	total int64
	taken map[string]bool
	made  []string // names of stored files that this upload made
}

// Begin starts to take somebody's work, in place of any they handed in before. With
// a key that they have used for work that was taken, nothing is taken again and Done
// returns that receipt. Past the time to hand in it is CodeConflict.
func (d *Desk) Begin(ctx context.Context, tenant lodge.Tenant, id string, who Hander, key string) (*Upload, error) {
	if who.Person == "" {
		return nil, lodge.E(lodge.CodeUnauthenticated, "Sign in to hand in.")
	}
	s, _, err := d.read(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	u := &Upload{d: d, tenant: tenant, id: id, who: who, one: s.view(), taken: map[string]bool{"text.txt": true}}
	if key != "" {
		sum := sha256.Sum256([]byte(key))
		u.repeat = hex.EncodeToString(sum[:16])
	}
	if u.key, err = d.keyOf(ctx, tenant, who.Person); err != nil {
		return nil, err
	}
	if err := d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		return p.View(ctx, func(s *state) { u.repeats(s) })
	}); err != nil {
		return nil, err
	}
	if u.given == nil {
		if err := d.takes(u.one); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := uploader{tenant, who.Person}
	if d.busy[at] >= uploadsAtOnce {
		return nil, lodge.E(lodge.CodeTooMany, "You are handing in several times at once; wait until one is done.")
	}
	d.busy[at]++
	return u, nil
}

// repeats looks for the receipt of this very upload.
func (u *Upload) repeats(s *state) {
	if r, known := s.Work[u.who.Person].receipt(u.repeat); known {
		u.given = &Receipt{HandIn: u.id, Version: r.Version, At: r.At, DaysLate: u.one.DaysLate(r.At)}
		unseal(u.key, aboutReceipt(u.id), r.Sealed, &u.given.SHA256)
	}
}

// takes says why a hand-in takes no work now; nil when it does.
func (d *Desk) takes(h HandIn) error {
	switch h.At(d.clock.Now()) {
	case Coming:
		return lodge.E(lodge.CodeConflict, "This is not open yet; come back at its time.")
	case Closed:
		return lodge.E(lodge.CodeConflict, "This is closed; nothing can be handed in any more. Ask your instructor.")
	}
	return nil
}

// Text takes the text of the work; empty is none.
func (u *Upload) Text(ctx context.Context, text string) error {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	switch {
	case u.given != nil || strings.TrimSpace(text) == "":
		return nil
	case !fits(text, maxText):
		return refuse("Shorten the text to %d characters, or hand it in as a file.", maxText)
	}
	f, err := u.store(ctx, "text.txt", plain, strings.NewReader(text), int64(len(text)))
	if err == nil {
		u.work.Text = &f
	}
	return err
}

// Keep takes over a file of what the person handed in last, by its id.
func (u *Upload) Keep(ctx context.Context, ids ...string) error {
	if u.given != nil || len(ids) == 0 {
		return nil
	}
	mine, err := u.d.Mine(ctx, u.tenant, u.id, u.who.Person)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if mine == nil || mine.author != u.who.Person || !slices.ContainsFunc(mine.Files, func(f File) bool { return f.ID == id }) {
			return errKept
		}
		for _, f := range mine.Files {
			if f.ID == id && !slices.ContainsFunc(u.work.Files, func(have File) bool { return have.ID == id }) {
				if err := u.add(f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

var errKept = lodge.E(lodge.CodeConflict, "A file that was to be kept is no longer there; look at what you have handed in, and add the file again.")

// add counts a file.
func (u *Upload) add(f File) error {
	if len(u.work.Files) >= u.one.Limits.Files {
		return refuse("Hand in at most %d files.", u.one.Limits.Files)
	}
	if u.total += f.Size; u.total > u.one.Limits.Total {
		return u.tooLarge()
	}
	f.Name = unique(u.taken, f.Name)
	u.work.Files = append(u.work.Files, f)
	return nil
}

func (u *Upload) tooLarge() error {
	return lodge.E(lodge.CodeTooLarge, fmt.Sprintf("The files have more than %d bytes in all; hand in less.", u.one.Limits.Total))
}

// File takes one file. It is read to its end, or to where it breaks a rule: too
// large is CodeTooLarge, of the wrong type or refused by the scanner CodeRefused.
func (u *Upload) File(ctx context.Context, name string, r io.Reader) error {
	if u.given != nil {
		return nil
	}
	if len(u.work.Files) >= u.one.Limits.Files {
		return refuse("Hand in at most %d files.", u.one.Limits.Files)
	}
	name = cleanName(name)
	in := bufio.NewReaderSize(r, 32<<10)
	head, err := in.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(head) == 0 {
		return refuse("%q is empty; choose the file again.", name)
	}
	media, err := typeOf(name, head, u.one.Limits.Types)
	if err != nil {
		return err
	}
	f, err := u.store(ctx, name, media, in, min(u.one.Limits.FileSize, u.one.Limits.Total-u.total))
	if err != nil {
		return err
	}
	if err := u.scan(ctx, f); err != nil {
		return err
	}
	return u.add(f)
}

// source tells faults of what is read from those of where it is written.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// store writes a file of at most limit bytes, sealed.
func (u *Upload) store(ctx context.Context, name, media string, r io.Reader, limit int64) (File, error) {
	f := File{ID: newFileID(u.d.clock.Now()), Name: name, Type: media}
	at := u.name(f.ID)
	pending, err := u.d.files.Create(ctx, at)
	if err != nil {
		return File{}, notStored(err)
	}
	defer func() { _ = pending.Discard() }() // what it leaves is swept
	to, err := newSealer(pending, u.key, at)
	if err != nil {
		return File{}, notStored(err)
	}
	digest, from := sha256.New(), &source{r: r}
	f.Size, err = io.Copy(io.MultiWriter(to, digest), io.LimitReader(from, limit+1))
	switch {
	case from.err != nil:
		return File{}, from.err
	case err != nil:
		return File{}, notStored(err)
	case f.Size > limit && limit < u.one.Limits.FileSize:
		return File{}, u.tooLarge()
	case f.Size > limit:
		return File{}, lodge.E(lodge.CodeTooLarge, fmt.Sprintf("%q has more than the %d bytes that one file may; hand in a smaller one.", name, limit))
	}
	if err := to.Close(); err != nil {
		return File{}, notStored(err)
	}
	u.made = append(u.made, at)
	if err := pending.Commit(); err != nil {
		return File{}, notStored(err)
	}
	f.SHA256 = hex.EncodeToString(digest.Sum(nil))
	return f, nil
}

func (u *Upload) name(id string) string {
	return personFolder(u.tenant, u.id, u.who.Person) + "/" + id
}

func notStored(err error) error {
	return lodge.Wrap(lodge.CodeUnavailable, "Your work could not be stored, and what you handed in before still counts. Try again in a moment; tell your laboratory if it stays.", err)
}

// Done makes the work count, whole, and returns its receipt. What it replaces is
// removed.
func (u *Upload) Done(ctx context.Context) (Receipt, error) {
	if u.given != nil {
		return *u.given, nil
	}
	if u.work.Text == nil && len(u.work.Files) == 0 {
		return Receipt{}, refuse("Write something, or choose a file to hand in.")
	}
	// Nobody who was erased meanwhile comes back.
	if _, err := u.d.keyOf(ctx, u.tenant, u.who.Person); err != nil {
		return Receipt{}, err
	}
	merged, err := u.d.people(ctx, u.tenant)
	if err != nil {
		return Receipt{}, err
	}
	e, err := u.entry()
	if err != nil {
		return Receipt{}, err
	}
	uncertain := false
	var old []string
	_, err = u.d.decide(ctx, u.tenant, u.id, func(s *state) ([]messaging.Message, error) {
		uncertain, old = false, nil
		if u.repeats(s); u.given != nil {
			return nil, nil
		}
		if err := u.accepts(s, merged); err != nil {
			return nil, err
		}
		if w := s.Work[u.who.Person]; w != nil {
			old = w.Files
		}
		e.At = u.d.clock.Now().UTC()
		uncertain = true
		return e.messages()
	})
	if err != nil {
		if uncertain {
			u.made = nil // it may count after all: what does not is swept
		}
		return Receipt{}, err
	}
	if u.given != nil {
		return *u.given, nil
	}
	u.made = nil
	for _, id := range old {
		if !slices.Contains(e.Files, id) {
			_ = u.d.files.Remove(ctx, u.name(id)) // else it is swept
		}
	}
	return u.receipt(ctx, e)
}

// accepts says why the work does not count; nil when it does.
func (u *Upload) accepts(s *state, merged lodge.Merged) error {
	if err := u.d.takes(s.view()); err != nil {
		return err
	}
	if g := s.as(merged).Grades[merged.Of(u.who.Person)]; g != nil && !s.ReleasedAt.IsZero() {
		return lodge.E(lodge.CodeConflict, "Your work is graded; it cannot be replaced any more.")
	}
	var have []string
	if w := s.Work[u.who.Person]; w != nil {
		have = w.Files
	}
	for _, f := range u.work.Files {
		if !slices.Contains(u.made, u.name(f.ID)) && !slices.Contains(have, f.ID) {
			return errKept
		}
	}
	return nil
}

// entry seals the work.
func (u *Upload) entry() (entry, error) {
	e := entry{Kind: kindReceived, HandIn: u.id, By: u.who.Person, Key: u.repeat}
	u.work.Name, u.work.Surname = u.who.Name, u.who.Surname
	digest := sha256.New()
	for _, f := range u.work.all() {
		e.Files = append(e.Files, f.ID)
		fmt.Fprintf(digest, "%s  %s\n", f.SHA256, f.Name) // a hash takes everything
	}
	u.work.SHA256 = hex.EncodeToString(digest.Sum(nil))
	var err error
	if e.Sealed, err = seal(u.key, aboutWork(u.id), u.work); err != nil {
		return e, err
	}
	e.Receipt, err = seal(u.key, aboutReceipt(u.id), u.work.SHA256)
	return e, err
}

// all are the files of a work, the text first.
func (c contents) all() []File {
	if c.Text == nil {
		return c.Files
	}
	return append([]File{*c.Text}, c.Files...)
}

// receipt reads back what the log made of the entry.
func (u *Upload) receipt(ctx context.Context, e entry) (Receipt, error) {
	r := Receipt{HandIn: u.id, At: e.At, DaysLate: u.one.DaysLate(e.At), SHA256: u.work.SHA256}
	err := u.d.with(ctx, u.tenant, u.id, func(p *messaging.Projection[state]) error {
		return p.View(ctx, func(s *state) {
			w := s.Work[u.who.Person]
			if w == nil {
				return
			}
			for _, one := range w.Receipts {
				if one.At.Equal(e.At) && one.Key == e.Key {
					r.Version = one.Version
				}
			}
		})
	})
	return r, err
}

// End gives back what the upload holds, and removes what it stored unless that
// counts.
func (u *Upload) End(ctx context.Context) {
	for _, name := range u.made {
		_ = u.d.files.Remove(ctx, name) // else it is swept
	}
	u.made = nil
	u.d.mu.Lock()
	defer u.d.mu.Unlock()
	at := uploader{u.tenant, u.who.Person}
	if u.d.busy[at]--; u.d.busy[at] <= 0 {
		delete(u.d.busy, at)
	}
}
