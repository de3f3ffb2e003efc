package audit

import (
	"context"
	"errors"
	"log/slog"

	"github.com/lodge-gateway/lodge"
)

// Join makes the head file of a node that is new to a trail which other nodes
// write: from then on the file shows whether the tail was cut off, and what was
// before is for the files of the others to show. The trail tells of it (NodeJoin),
// so that a file which was removed is noticed too. With a file there Join does
// nothing.
func Join(ctx context.Context, store Store, key []byte, headFile string, clock lodge.Clock, log *slog.Logger) error {
	t := &Trail{store: store, seal: sealer{key}, clock: clock, log: log, news: make(chan struct{}, 1), anchor: anchorFile{headFile}}
	t.anchorMu.Lock()
	defer t.anchorMu.Unlock()
	if _, err := t.anchor.read(); !errors.Is(err, errNoAnchor) {
		return nil // there, or for Open to judge
	}
	head, err := t.head(ctx)
	if err != nil {
		return err
	}
	if head.Seq == 0 { // another may write the first entry before Open looks
		return t.put(head)
	}
	log.InfoContext(ctx, "audit: this node begins its head file on a trail that others write", "file", headFile, "entry", head.Seq)
	if err := t.append(ctx, []Event{{Actor: "lodge", Action: NodeJoin, Object: "audit", Reason: "a node without a head file began one"}}); err != nil {
		return err
	}
	if head, err = t.head(ctx); err != nil {
		return err
	}
	return t.put(head)
}
