package gateway

import (
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// An editor decides which objects of a catalogue somebody may change, given the
// catalogue before and after the change. An administrator may change all. A
// technician changes the experiments of their bindings, and of pools that they are
// bound to; an organiser the policies of their bindings and groups, with slots and
// overrides of those. What is referred to (windows, guides, UIs, UI sets,
// descriptions) may be changed by whoever may change everything that refers to it,
// before and after. Nobody but an administrator gives roles.
type editor struct {
	p             lodge.Principal
	before, after *booking.Catalogue
}

// editing reports whether somebody may change anything of a catalogue at all.
func editing(p lodge.Principal) bool {
	return p.Has(lodge.RoleTechnician) || p.Has(lodge.RoleOrganiser)
}

// mayChange is the check of a change by a principal.
func mayChange(p lodge.Principal) func(before, after *booking.Catalogue, ops []booking.Op) error {
	return func(before, after *booking.Catalogue, ops []booking.Op) error {
		e := editor{p, before, after}
		for _, op := range ops {
			if why := e.refuses(op); why != "" {
				return lodge.E(lodge.CodeForbidden, "You may not "+string(op.Action)+" "+op.Object.String()+": "+why)
			}
		}
		return nil
	}
}

func (e editor) can(role lodge.Role, kind, name string) bool {
	return e.p.Can(role, lodge.ScopeOf(kind, name))
}

func (e editor) technician() bool { return e.p.Can(lodge.RoleTechnician, lodge.ScopeTenant) }
func (e editor) organiser() bool  { return e.p.Can(lodge.RoleOrganiser, lodge.ScopeTenant) }

// refuses says why an op is not allowed; nothing when it is.
func (e editor) refuses(op booking.Op) string {
	name := op.Object.Name
	if e.p.Can(lodge.RoleAdministrator, lodge.ScopeTenant) {
		return ""
	}
	switch op.Object.Kind {
	case "experiments":
		return e.experiment(op)
	case "groups":
		return e.group(op)
	case "pools":
		return e.pool(op)
	case "roles":
		return "an administrator gives roles."
	}
	if !e.owns(op.Object.Kind, name) {
		return "it is not yours alone; ask whoever it belongs to, or an administrator."
	}
	return ""
}

func (e editor) experiment(op booking.Op) string {
	name := op.Object.Name
	switch {
	case op.Action == booking.Alter && !e.can(lodge.RoleTechnician, "experiment", name):
		return "you are not its technician."
	case op.Action != booking.Alter && !e.technician():
		return "a technician of the whole laboratory adds and removes experiments."
	}
	// With another's relay topic would come that experiment's streams.
	for _, cat := range []*booking.Catalogue{e.before, e.after} {
		for other, one := range cat.Experiments {
			if other == name || e.can(lodge.RoleTechnician, "experiment", other) {
				continue
			}
			for _, stream := range e.after.Experiments[name].Streams {
				if slices.ContainsFunc(one.Streams, func(s booking.Stream) bool { return s.Topic == stream.Topic }) {
					return "the relay topic " + stream.Topic + " belongs to another experiment."
				}
			}
		}
	}
	return ""
}

// added lists what is in the one list and not in the other.
func added(after, before []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(one string) bool { return slices.Contains(before, one) })
}

func (e editor) pool(op booking.Op) string {
	name := op.Object.Name
	if e.technician() {
		return ""
	}
	if op.Action != booking.Alter || !e.can(lodge.RoleTechnician, "pool", name) {
		return "you are not its technician."
	}
	for _, experiment := range added(e.after.Pools[name].Experiments, e.before.Pools[name].Experiments) {
		if !e.can(lodge.RoleTechnician, "experiment", experiment) {
			return "you are not the technician of " + experiment + "."
		}
	}
	return ""
}

func (e editor) group(op booking.Op) string {
	name := op.Object.Name
	if e.organiser() {
		return ""
	}
	if op.Action != booking.Alter || !e.can(lodge.RoleOrganiser, "group", name) {
		return "you are not its organiser."
	}
	for _, policy := range added(e.after.Groups[name].Policies, e.before.Groups[name].Policies) {
		if !e.policy(policy) {
			return "the policy " + policy + " is not yours to give."
		}
	}
	return ""
}

// policy reports whether a policy is theirs: by name, or since every group that
// uses it is. What counts of one that is there already is who used it before.
func (e editor) policy(name string) bool {
	if e.can(lodge.RoleOrganiser, "policy", name) {
		return true
	}
	cat := e.before
	if _, there := cat.Policies[name]; !there {
		cat = e.after
	}
	used := false
	for group, g := range cat.Groups {
		if !slices.Contains(g.Policies, name) {
			continue
		}
		if !e.can(lodge.RoleOrganiser, "group", group) {
			return false
		}
		used = true
	}
	return used
}

// owns reports whether an object is theirs, before and after.
func (e editor) owns(kind, name string) bool {
	if e.p.Can(lodge.RoleAdministrator, lodge.ScopeTenant) {
		return true
	}
	switch kind {
	case "experiments":
		return e.can(lodge.RoleTechnician, "experiment", name)
	case "pools":
		return e.can(lodge.RoleTechnician, "pool", name)
	case "groups":
		return e.can(lodge.RoleOrganiser, "group", name)
	case "policies":
		return e.policy(name)
	case "slots":
		return e.bothOf(func(c *booking.Catalogue) (string, bool) { s, ok := c.Slots[name]; return s.Policy, ok })
	case "overrides":
		return e.bothOf(func(c *booking.Catalogue) (string, bool) { o, ok := c.Overrides[name]; return o.Policy, ok })
	case "windows", "guides", "uis", "ui_sets":
		return e.organiser() || e.ownsReferrers(kind, name)
	case "descriptions":
		return e.ownsReferrers(kind, name)
	}
	return false
}

// bothOf reports whether the policy that an object belongs to is theirs, before
// and after; an object of no policy is the tenant's organiser's.
func (e editor) bothOf(policy func(*booking.Catalogue) (string, bool)) bool {
	for _, cat := range []*booking.Catalogue{e.before, e.after} {
		name, there := policy(cat)
		if there && !(name != "" && e.policy(name)) && !e.organiser() {
			return false
		}
	}
	return true
}

// ownsReferrers reports whether something refers to an object, and all that does
// is theirs.
func (e editor) ownsReferrers(kind, name string) bool {
	found := false
	for _, cat := range []*booking.Catalogue{e.before, e.after} {
		for _, id := range cat.Referrers(booking.ObjectID{Kind: kind, Name: name}) {
			if kind == "descriptions" && id.Kind == "slots" && cat.Experiments[cat.Slots[id.Name].Experiment].Description == name {
				continue // a slot that shows what its experiment shows
			}
			if !e.owns(id.Kind, id.Name) {
				return false
			}
			found = true
		}
	}
	return found
}
