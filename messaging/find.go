package messaging

import (
	"context"
	"errors"

	"github.com/lodge-gateway/lodge"
)

// Locate returns where the message with an ID is in a topic, however many came
// after it; false when none has it, be it that it was discarded. The log itself
// is asked, whose answer to a repeated append is a position: by an append on
// condition of a head that no topic has.
func (t *Topics) Locate(ctx context.Context, tenant lodge.Tenant, name, id string) (Pos, bool, error) {
	at, err := t.log.Append(ctx, t.seals.of(tenant, name).topic, []Msg{{ID: id}}, &never)
	switch {
	case errors.Is(err, ErrConflict):
		return Pos{}, false, nil
	case err != nil:
		return Pos{}, false, outward(err)
	}
	return at[0].Pos, true, nil
}

// Find returns the message with an ID of a topic; false when none has it, or when
// what has it is not genuine.
func (t *Topics) Find(ctx context.Context, tenant lodge.Tenant, name, id string) (Item, bool, error) {
	at, there, err := t.Locate(ctx, tenant, name, id)
	if err != nil || !there {
		return Item{}, false, err
	}
	// An entry is read from the place of the one before it.
	page, err := t.ReadBack(ctx, tenant, name, at, 1)
	if err != nil {
		return Item{}, false, gone(err)
	}
	from := page.Floor
	if len(page.Items) > 0 {
		from = page.Items[0].Pos
	}
	if page, err = t.Read(ctx, tenant, name, from, 1); err != nil {
		return Item{}, false, gone(err)
	}
	if len(page.Items) == 0 || page.Items[0].Gap || page.Items[0].ID != id {
		return Item{}, false, nil
	}
	return page.Items[0], true, nil
}

// gone makes nothing of a position that was lost: the message was discarded since
// it was found.
func gone(err error) error {
	if _, lost := errors.AsType[*PosLostError](err); lost {
		return nil
	}
	return err
}
