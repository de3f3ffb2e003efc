package booking

import "slices"

// Referrers returns the objects that refer to an object, sorted.
func (c *Catalogue) Referrers(to ObjectID) []ObjectID {
	var out []ObjectID
	add := func(kind, name string, refers bool) {
		if refers {
			out = append(out, ObjectID{kind, name})
		}
	}
	is := func(kind, name string) bool { return to == ObjectID{kind, name} }
	has := func(kind string, names []string) bool { return to.Kind == kind && slices.Contains(names, to.Name) }
	describes := func(name string) bool { return name != "" && is("descriptions", name) }
	for name, e := range c.Experiments {
		add("experiments", name, describes(e.Description))
	}
	for name, p := range c.Pools {
		add("pools", name, describes(p.Description) || has("experiments", p.Experiments))
	}
	for name, s := range c.Slots {
		add("slots", name, describes(s.Description) || is("experiments", s.Experiment) || is("policies", s.Policy) ||
			is("ui_sets", s.UISet) || s.Window != "" && is("windows", s.Window))
	}
	for name, p := range c.Policies {
		add("policies", name, describes(p.Description) || has("guides", p.Guides))
	}
	for name, g := range c.Groups {
		add("groups", name, describes(g.Description) || has("policies", g.Policies))
	}
	for name, u := range c.UIs {
		add("uis", name, describes(u.Description))
	}
	for name, u := range c.UISets {
		add("ui_sets", name, describes(u.Description) || has("uis", u.UIs))
	}
	for name, o := range c.Overrides {
		add("overrides", name, o.Policy != "" && is("policies", o.Policy) || o.UISet != "" && is("ui_sets", o.UISet))
	}
	slices.SortFunc(out, compareIDs)
	return out
}
