package booking

import "strings"

// A draft is what of a booking depends on nobody else: it is made before the
// transaction, which others wait for.
type draft struct {
	id, effect string
	surname    string
	keys       [][]byte // hashes of the idempotency key, that which is written first; none without a key
	code       code
}

func (d *Desk) draft(req Request) draft {
	made := draft{id: newID(), effect: newID(), surname: strings.TrimSpace(req.Surname)}
	if req.Key != "" {
		for _, v := range d.vault.all() {
			made.keys = append(made.keys, v.requestMAC(req))
		}
	}
	made.code = d.draw(Booking{ID: made.id, Tenant: req.Tenant, Surname: made.surname})
	return made
}

// A code is a reference with all that is stored of it.
type code struct {
	reference string
	mac       []byte
	folds     [][]byte
	sealed    []byte
}

// draw draws a reference for a booking.
func (d *Desk) draw(b Booking) code {
	c := code{reference: newReference(d.opts.ReferenceLength)}
	c.mac, c.sealed = d.vault.referenceMAC(b.Tenant, c.reference), d.vault.seal(b, c.reference)
	for _, fold := range Folds(b.Surname) {
		c.folds = append(c.folds, d.vault.foldMAC(b.Tenant, fold, c.reference))
	}
	return c
}
