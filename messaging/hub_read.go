package messaging

import (
	"context"

	"github.com/lodge-gateway/lodge"
)

// MarkRead notes that a person has read a topic up to a position, as a read
// frame of one of their clients does. It is persisted within FlushEvery.
func (h *Hub) MarkRead(tenant lodge.Tenant, topic string, person lodge.PersonID, pos Pos) {
	h.receipts.move(tenant, topic, person, pos, true)
}

// HasRead reports which of the positions of a topic somebody has read: any of the
// ids they are known by counts.
func (h *Hub) HasRead(ctx context.Context, tenant lodge.Tenant, topic string, ids []lodge.PersonID, positions []Pos) ([]bool, error) {
	cursors, err := h.receipts.of(ctx, tenant, topic, ids)
	if err != nil {
		return nil, err
	}
	read := make([]bool, len(positions))
	for i, pos := range positions {
		for _, c := range cursors {
			read[i] = read[i] || covers(c.Read, pos)
		}
	}
	return read, nil
}
