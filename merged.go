package lodge

import "slices"

// Merged says which persons of a tenant count as another: by the id they have in
// what was written down, the id of the person they were merged into. What is
// written is never changed; whoever reads it by person asks Of. The zero value
// is that of a tenant in which nobody was merged.
type Merged map[PersonID]PersonID

// Of returns whom a person counts as: themselves, unless they were merged.
func (m Merged) Of(p PersonID) PersonID {
	if into, ok := m[p]; ok {
		return into
	}
	return p
}

// All returns every id that counts as the same person as p, sorted; p's own or
// that of the person they were merged into is among them.
func (m Merged) All(p PersonID) []PersonID {
	into := m.Of(p)
	all := []PersonID{into}
	for from, to := range m {
		if to == into {
			all = append(all, from)
		}
	}
	slices.Sort(all)
	return all
}
