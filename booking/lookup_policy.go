package booking

import "slices"

// What somebody who opened a booking by surname and reference may do with it, as
// far as its policy allows.
const (
	LookupSee    = "see" // find it at all, and read its messages
	LookupLaunch = "launch"
	LookupExtend = "extend"
	LookupCancel = "cancel"
)

var lookupWords = []string{LookupSee, LookupLaunch, LookupExtend, LookupCancel}

// Lookups returns what a lookup may do under the policy: everything, unless the
// policy says what.
func (p Policy) Lookups() []string {
	if p.Lookup == nil {
		return lookupWords
	}
	return *p.Lookup
}

func (p Policy) visible() bool { return slices.Contains(p.Lookups(), LookupSee) }

// lookup checks what a policy says about lookups.
func (k *checker) lookup(object string, p *Policy) bool {
	if p.Lookup == nil {
		return true
	}
	sound := true
	for _, word := range *p.Lookup {
		if !slices.Contains(lookupWords, word) {
			k.fault(object, "lookup", "lookup %q is none of see, launch, extend, cancel", word)
			sound = false
		}
	}
	if len(*p.Lookup) > 0 && !p.visible() {
		k.fault(object, "lookup", "a lookup that may do anything must see the booking; add see, or leave the list empty")
		sound = false
	}
	return sound
}
