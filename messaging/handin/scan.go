package handin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode"

	"github.com/lodge-gateway/lodge"
)

// A Scanner judges the contents of a file. It returns nil for one that is clean, a
// *Rejected for one that is not to be taken, and any other error when it cannot tell:
// then nothing is taken.
type Scanner func(ctx context.Context, contents io.Reader) error

// Rejected is a scanner's refusal. Reason is shown to who handed the file in.
type Rejected struct{ Reason string }

func (r *Rejected) Error() string { return "handin: the scanner refused a file: " + r.Reason }

// longestReason is how many bytes of what a scanner writes are read as its reason.
const longestReason = 200

// Command returns a scanner that runs a program for each file, which it gets on its
// standard input. Exit status 0 says that it is clean, 1 that it is to be refused, for
// the reason on the first line of the output; anything else, and taking longer than
// limit, says nothing. No shell is involved, and of the environment the program gets
// PATH alone.
func Command(limit time.Duration, program string, args ...string) Scanner {
	return func(ctx context.Context, contents io.Reader) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		out := &head{}
		cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the operator's own, from the configuration
		cmd.Stdin, cmd.Stdout, cmd.Env, cmd.WaitDelay = contents, out, []string{"PATH=" + os.Getenv("PATH")}, time.Second
		err := cmd.Run()
		if failed, ok := errors.AsType[*exec.ExitError](err); ok && failed.ExitCode() == 1 && ctx.Err() == nil {
			return &Rejected{out.line()}
		}
		if err != nil {
			return fmt.Errorf("handin: the scanner %s: %w", program, errors.Join(err, ctx.Err()))
		}
		return nil
	}
}

// head keeps the beginning of what is written to it.
type head struct{ buf bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := longestReason - h.buf.Len(); room > 0 {
		h.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (h *head) line() string {
	first, _, _ := strings.Cut(strings.ToValidUTF8(h.buf.String(), ""), "\n")
	first = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, first)
	return strings.TrimSpace(first)
}

// scan has a file judged that was stored.
func (u *Upload) scan(ctx context.Context, f File) error {
	if u.d.opts.Scan == nil {
		return nil
	}
	r, err := u.d.openStored(ctx, u.key, u.name(f.ID))
	if err != nil {
		return notStored(err)
	}
	err = u.d.opts.Scan(ctx, r)
	_ = r.Close() // it was only read
	if rejected, ok := errors.AsType[*Rejected](err); ok {
		reason := rejected.Reason
		if reason == "" {
			reason = "no reason was given"
		}
		return refuse("%q was refused by the scanner of your laboratory: %s.", f.Name, strings.TrimRight(reason, "."))
	}
	if err != nil {
		return lodge.Wrap(lodge.CodeUnavailable, "Files cannot be checked at the moment, so none are taken; try again in a moment.", err)
	}
	return nil
}
