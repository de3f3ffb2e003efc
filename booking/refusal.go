package booking

import (
	"time"

	"github.com/lodge-gateway/lodge"
)

// A refusal is a rule that a wish does not keep.
type refusal struct {
	code     lodge.Code
	rule     string
	value    any // the rule's value: a duration, a number
	safe     string
	conflict *Interval // of a clash
	// better is the nearest wish that this rule would accept; nil: none is known.
	// Other rules may still refuse it.
	better *Interval
}

// An Opening is what would be accepted instead of what was refused.
type Opening struct {
	Interval
	Slot string `json:"slot"`
}

// offerOf is an interval in a slot as an offer; nil when there is none.
func offerOf(i *Interval, slot string) *Opening {
	if i == nil {
		return nil
	}
	return &Opening{*i, slot}
}

// problem turns a refusal into an error; offer is a wish that all rules accept.
func (r *refusal) problem(offer *Opening) error {
	e := lodge.E(r.code, r.safe)
	e.Details = map[string]any{"rule": r.rule}
	switch v := r.value.(type) {
	case nil:
	case time.Duration:
		e.Details["value"] = v.String()
	default:
		e.Details["value"] = v
	}
	if r.conflict != nil {
		e.Details["conflict"] = *r.conflict
	}
	if offer != nil {
		e.Details["offer"] = *offer
	}
	return e
}

func refuse(rule string, value any, safe string) *refusal {
	return &refusal{code: lodge.CodeRefused, rule: rule, value: value, safe: safe}
}

func (r *refusal) try(i Interval) *refusal {
	r.better = &i
	return r
}
