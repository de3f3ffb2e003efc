package handin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Files keep the sealed contents of what people hand in. Names are paths of small
// letters and digits, joined by slashes: tenant, hand-in, person, file; any other name
// is refused, with nothing done. No file has the name of a folder. All nodes that share
// a message log share one.
//
// An error that another try may do without is CodeUnavailable where the back end is
// reached over a network. A context that ends ends what it was given to.
//
// Implementations are tested by the suite handintest.
type Files interface {
	// Create begins a file. It is there for others only after Commit. The context is
	// that of all that is done with the Pending.
	Create(ctx context.Context, name string) (Pending, error)
	// Open reads a file; fs.ErrNotExist when there is none. One that is removed, or
	// cannot be reached any more, meanwhile ends in an error or whole.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Remove removes a file, or everything under a folder, what is begun there
	// included. It may be repeated.
	Remove(ctx context.Context, name string) error
	// List yields the name of every file under a folder, or under "." of all there are,
	// in no order. Those that were begun and never committed are among them once
	// something of them is kept: under a name of their own that ends with PartSuffix,
	// by which Remove gives them up.
	List(ctx context.Context, folder string) iter.Seq2[string, error]
}

// PartSuffix ends the name of what is not committed.
const PartSuffix = ".part"

// A Pending is a file that is being written, by one goroutine. It takes as much memory
// as its buffers have, however long it is.
type Pending interface {
	io.Writer
	// Commit makes the file durable, and then visible, whole. After an error it may be
	// there all the same: whoever called removes it.
	Commit() error
	// Discard gives it up. After Commit it does nothing. It may be repeated.
	Discard() error
}

// Unreachable is the error of Files whose back end does not serve, and may by and by.
func Unreachable(err error) error {
	return lodge.Wrap(lodge.CodeUnavailable, "What people hand in cannot be reached at the moment. Try again in a moment; tell your laboratory if it stays.", err)
}

// ValidName reports whether a name is one that Files take.
func ValidName(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	return true
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// opaque is the name of a folder for something whose own name may be anything.
func opaque(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return lowerBase32.EncodeToString(sum[:15])
}

func folderOf(tenant lodge.Tenant) string { return opaque("tenant", string(tenant)) }

func handinFolder(tenant lodge.Tenant, id string) string {
	return folderOf(tenant) + "/" + opaque("hand-in", id)
}

func personFolder(tenant lodge.Tenant, id string, person lodge.PersonID) string {
	return handinFolder(tenant, id) + "/" + opaque("person", string(person))
}

// newFileID returns the id of a file made at a time, which it tells.
func newFileID(now time.Time) string {
	return fmt.Sprintf("%010x", now.Unix()) + strings.ToLower(rand.Text())
}

// madeAt is when the file of an id was made.
func madeAt(id string) (time.Time, error) {
	if len(id) < 10 {
		return time.Time{}, errors.New("handin: no id of a file")
	}
	unix, err := strconv.ParseInt(id[:10], 16, 64)
	return time.Unix(unix, 0), err
}

// NoFiles are the Files of an installation that has no place for any.
type NoFiles struct{}

// Create implements Files: it cannot.
func (NoFiles) Create(context.Context, string) (Pending, error) {
	return nil, errors.New("handin: no directory is set for what people hand in")
}

// Open implements Files.
func (NoFiles) Open(context.Context, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }

// Remove implements Files.
func (NoFiles) Remove(context.Context, string) error { return nil }

// List implements Files.
func (NoFiles) List(context.Context, string) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}
