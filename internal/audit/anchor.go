package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/lodge-gateway/lodge/internal/durable"
)

var (
	errNoAnchor  = errors.New("audit: there is no head file")
	errBadAnchor = errors.New("audit: the head file cannot be understood")
)

// anchorFile is the file outside the database that holds the head: one line of
// JSON, replaced as a whole.
type anchorFile struct{ path string }

type anchorLine struct {
	Head
	Time time.Time `json:"time"` // when it was written; for people
}

// read returns the head in the file, errNoAnchor when there is no file and
// errBadAnchor when it holds something else.
func (a anchorFile) read() (Head, error) {
	body, err := os.ReadFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Head{}, errNoAnchor
	}
	if err != nil {
		return Head{}, fmt.Errorf("audit: head file: %w", err)
	}
	var line anchorLine
	if err := json.Unmarshal(body, &line); err != nil {
		return Head{}, fmt.Errorf("%w: %w", errBadAnchor, err)
	}
	return line.Head, nil
}

// write replaces the file atomically and durably.
func (a anchorFile) write(head Head, now time.Time) error {
	body, err := json.Marshal(anchorLine{Head: head, Time: now.UTC()})
	if err != nil {
		return fmt.Errorf("audit: head file: %w", err)
	}
	if err := durable.Replace(a.path, append(body, '\n')); err != nil {
		return fmt.Errorf("audit: head file: %w", err)
	}
	return nil
}

// putAside keeps a file that the trail contradicts, under a name that says where
// the trail broke.
func (a anchorFile) putAside(at Head) error {
	err := os.Rename(a.path, fmt.Sprintf("%s.broken-%d", a.path, at.Seq))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
