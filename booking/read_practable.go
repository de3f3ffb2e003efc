package booking

import (
	"fmt"
	"slices"
)

// practableWords are practable's words for what Lodge calls otherwise, so that
// faults speak the language of the file.
var practableWords = map[string]string{
	"experiments": "resources", "experiment": "resource", "guides": "display_guides",
}

// practable reads a practable manifest. Its resources become experiments with
// streams of their own, its display guides guides; a rule that is not enforced
// goes.
func (rd *reader) practable(top *object) Catalogue {
	types := map[string]string{} // of descriptions
	describe := readDescription("name")
	c := Catalogue{
		Descriptions: each(top, "descriptions", func(name string, o *object) Description {
			types[name] = o.str("type")
			return describe(name, o)
		}),
		Windows: each(top, "windows", readWindow),
		Guides:  each(top, "display_guides", readGuide),
		UISets: each(top, "ui_sets", func(_ string, o *object) UISet {
			return UISet{o.str("description"), o.strings("uis")}
		}),
		Slots: each(top, "slots", func(_ string, o *object) Slot {
			return readSlot(o, "resource")
		}),
		Groups: each(top, "groups", func(_ string, o *object) Group {
			return Group{Description: o.str("description"), Policies: o.strings("policies")}
		}),
	}
	streams := each(top, "streams", func(_ string, o *object) Stream {
		// Two fields of earlier versions, which no longer mean anything.
		o.take("audience")
		o.take("ct")
		return readStream(o)
	})
	c.Experiments = each(top, "resources", func(name string, o *object) Experiment {
		e := Experiment{
			Description: o.str("description"), TopicStub: o.str("topic_stub"),
			ConfigURL: o.str("config_url"), Tests: o.strings("tests"),
		}
		for _, stream := range o.strings("streams") {
			s, ok := streams[stream]
			if !ok {
				o.fault("streams", "stream %q is not among the streams", stream)
				continue
			}
			s.Scopes = slices.Clone(s.Scopes)
			if s = s.of(e.TopicStub); e.TopicStub == "" {
				o.fault("topic_stub", "topic_stub is missing")
				e.TopicStub, s.Topic = name, name+"-"+s.For
			}
			e.Streams = append(e.Streams, s)
		}
		return e
	})
	c.UIs = each(top, "uis", func(_ string, o *object) UI {
		u := UI{Description: o.str("description"), URL: o.str("url")}
		for _, stream := range o.strings("streams_required") {
			if s, ok := streams[stream]; ok {
				u.Streams = append(u.Streams, s.For)
			} else {
				o.fault("streams_required", "stream %q is not among the streams", stream)
			}
		}
		return u
	})
	listed := map[string][]string{} // slots by policy
	c.Policies = each(top, "policies", func(name string, o *object) Policy {
		listed[name] = o.strings("slots")
		return readEnforced(o)
	})
	top.done()
	rd.describes(&c, types)
	rd.belong(&c, listed)
	return c
}

// readEnforced reads a policy whose rules count where their flag is set.
func readEnforced(o *object) Policy {
	p := Policy{Description: o.str("description"), Guides: o.strings("display_guides")}
	for _, r := range []struct {
		flag, field string
		to          **Duration
	}{
		{"enforce_book_ahead", "book_ahead", &p.BookAhead},
		{"enforce_starts_within", "starts_within", &p.StartsWithin},
		{"enforce_next_available", "next_available", &p.NextAvailable},
		{"enforce_allow_start_in_past", "allow_start_in_past_within", &p.AllowStartInPast},
		{"enforce_min_duration", "min_duration", &p.MinDuration},
		{"enforce_max_duration", "max_duration", &p.MaxDuration},
		{"enforce_max_usage", "max_usage", &p.MaxUsage},
	} {
		d := o.duration(r.field)
		if o.boolean(r.flag) {
			*r.to = enforced(o, r.flag, r.field, d)
		}
	}
	period, penalty := o.duration("grace_period"), o.duration("grace_penalty")
	if o.boolean("enforce_grace_period") {
		p.GracePeriod, p.GracePenalty = enforced(o, "enforce_grace_period", "grace_period", period), penalty
	}
	bookings, ok := o.integer("max_bookings")
	if o.boolean("enforce_max_bookings") {
		if !ok {
			o.fault("enforce_max_bookings", "max_bookings is enforced, but missing")
		} else {
			p.MaxBookings = &bookings
		}
	}
	p.UnlimitedUsers = o.boolean("enforce_unlimited_users")
	return p
}

func enforced(o *object, flag, field string, d *Duration) *Duration {
	if d == nil {
		o.fault(flag, "%s is enforced, but missing or unreadable", field)
	}
	return d
}

// describes names descriptions that were written for another kind of object.
// They are kept: the words are still what people are meant to read.
func (rd *reader) describes(c *Catalogue, types map[string]string) {
	look := func(kind, object, name string) {
		if got := types[name]; got != "" && got != kind {
			rd.fault(rd.line(object+".description", object), object, "description %q is of type %q, not %q", name, got, kind)
		}
	}
	for _, name := range sortedKeys(c.Experiments) {
		look("resource", "resources."+name, c.Experiments[name].Description)
	}
	for _, name := range sortedKeys(c.Slots) {
		look("slot", "slots."+name, c.Slots[name].Description)
	}
	for _, name := range sortedKeys(c.Policies) {
		look("policy", "policies."+name, c.Policies[name].Description)
	}
	for _, name := range sortedKeys(c.Groups) {
		look("group", "groups."+name, c.Groups[name].Description)
	}
	for _, name := range sortedKeys(c.UIs) {
		look("ui", "uis."+name, c.UIs[name].Description)
	}
}

// belong compares what slots say of their policy with what policies say of their
// slots. A slot that its policy does not list could not be booked, and goes.
func (rd *reader) belong(c *Catalogue, listed map[string][]string) {
	for _, policy := range sortedKeys(listed) {
		object := "policies." + policy
		for _, name := range listed[policy] {
			slot, ok := c.Slots[name]
			switch line := rd.line(object+".slots", object); {
			case !ok:
				rd.fault(line, object, "slot %q is not among the slots", name)
			case slot.Policy != policy:
				rd.fault(line, object, "slot %q says that its policy is %q", name, slot.Policy)
			}
		}
	}
	for _, name := range sortedKeys(c.Slots) {
		slot := c.Slots[name]
		if _, known := c.Policies[slot.Policy]; known && !slices.Contains(listed[slot.Policy], name) {
			rd.fault(rd.line("slots."+name+".policy", "slots."+name), "slots."+name, "%s",
				fmt.Sprintf("orphan: policy %q does not list it", slot.Policy))
			delete(c.Slots, name)
		}
	}
}
