package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/lodge-gateway/lodge/internal/storage/s3"
	"github.com/lodge-gateway/lodge/messaging/handin"
)

// handInFiles are where hand-ins' files go, while a node runs.
type handInFiles interface {
	handin.Files
	io.Closer
}

// firstAnswer is how long a node that starts waits for the object store.
const firstAnswer = 10 * time.Second

// open returns the place that is configured. A store that refuses what the
// configuration says ends the start; one that does not answer does not, since all
// else works without it.
func (h handInPlace) open(ctx context.Context, data string, log *slog.Logger) (handInFiles, error) {
	if h.Store.Place.Bucket == "" {
		return handin.OpenDir(h.dir(data))
	}
	store, err := s3.Open(h.Store)
	if err != nil {
		return nil, err
	}
	if h.Plain && !h.Store.Place.TLS && !h.Store.Place.Loopback() {
		log.Warn("what people hand in crosses the network in plain http, sealed but for names and sizes; so do the signatures of the key", "store", h.Store.Place.String())
	}
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	err = store.Ping(ctx)
	if problem, ok := errors.AsType[*s3.Problem](err); ok && problem.Lasting {
		return nil, errors.Join(problem, store.Close())
	}
	if err != nil {
		log.Warn("nothing can be handed in or downloaded until the object store answers", "error", err)
	}
	return store, nil
}

// where names the place in the log.
func (h handInPlace) where() string {
	if h.Store.Place.Bucket == "" {
		return "directory"
	}
	return h.Store.Place.String()
}

// examineHandIns has a small file written, read and removed.
func examineHandIns(ctx context.Context, cfg config) []finding {
	if cfg.HandIns.Store.Place.Bucket != "" {
		return []finding{examineHandInStore(ctx, cfg.HandIns.Store)}
	}
	var found []finding
	if cfg.Database != "" && cfg.HandIns.Dir == "" {
		found = append(found, finding{"hand-ins", levelWarning, "what is handed in at one node is in its own data, where others do not find it", "give all nodes the same handin_s3, or a handin_dir that all have mounted"})
	}
	dir := cfg.HandIns.dir(cfg.Data)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return found // the node makes it, for its own user
	}
	files, err := handin.OpenDir(dir)
	if err == nil {
		err = errors.Join(handin.Probe(ctx, files), files.Close())
	}
	if err != nil {
		return append(found, finding{"hand-ins directory", levelFault, inOneLine(err), "let the user that Lodge runs as write in " + dir + ", and see whether it is mounted"})
	}
	return append(found, finding{"hand-ins directory", levelOK, dir + " takes, gives back and removes a file", ""})
}

func examineHandInStore(ctx context.Context, c s3.Config) finding {
	const check = "hand-ins store"
	store, err := s3.Open(c)
	if err == nil {
		err = errors.Join(handin.Probe(ctx, store), store.Rehearse(ctx), store.Close())
	}
	if problem, ok := errors.AsType[*s3.Problem](err); ok {
		return finding{check, levelFault, inOneLine(problem), problem.Remedy}
	}
	if err != nil {
		return finding{check, levelFault, inOneLine(fmt.Errorf("%s: %w", c.Place, err)), "see whether it runs, and can be reached from here"}
	}
	return finding{check, levelOK, c.Place.String() + " takes, gives back and removes a file", ""}
}
