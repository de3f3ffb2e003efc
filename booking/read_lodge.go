package booking

// lodge reads Lodge's own format.
func (rd *reader) lodge(top *object) Catalogue {
	c := Catalogue{
		Descriptions: each(top, "descriptions", readDescription("title")),
		Experiments: each(top, "experiments", func(name string, o *object) Experiment {
			e := Experiment{
				Description: o.str("description"), TopicStub: o.str("topic_stub"),
				ConfigURL: o.str("config_url"), Tests: o.strings("tests"), State: o.state(),
			}
			if e.TopicStub == "" {
				e.TopicStub = name
			}
			for _, so := range o.objects("streams") {
				s := readStream(so)
				s.MaxMessage, _ = so.integer("max_message_bytes")
				so.done()
				e.Streams = append(e.Streams, s.of(e.TopicStub))
			}
			return e
		}),
		Pools: each(top, "pools", func(_ string, o *object) Pool {
			return Pool{o.str("description"), o.strings("experiments")}
		}),
		Slots: each(top, "slots", func(_ string, o *object) Slot {
			return readSlot(o, "experiment")
		}),
		Windows: each(top, "windows", readWindow),
		Policies: each(top, "policies", func(_ string, o *object) Policy {
			p := Policy{
				Description: o.str("description"), Guides: o.strings("guides"),
				BookAhead: o.duration("book_ahead"), StartsWithin: o.duration("starts_within"),
				NextAvailable: o.duration("next_available"), AllowStartInPast: o.duration("allow_start_in_past_within"),
				MinDuration: o.duration("min_duration"), MaxDuration: o.duration("max_duration"),
				MaxUsage: o.duration("max_usage"), GracePeriod: o.duration("grace_period"), GracePenalty: o.duration("grace_penalty"),
				UnlimitedUsers: o.boolean("unlimited_users"), Reminders: o.durations("reminders"), Lookup: o.stringsIf("lookup"),
			}
			if n, ok := o.integer("max_bookings"); ok {
				p.MaxBookings = &n
			}
			return p
		}),
		Guides: each(top, "guides", readGuide),
		Groups: each(top, "groups", func(_ string, o *object) Group {
			return Group{o.str("description"), o.strings("policies"), o.boolean("replies")}
		}),
		UIs: each(top, "uis", func(_ string, o *object) UI {
			return UI{o.str("description"), o.str("url"), o.strings("streams")}
		}),
		UISets: each(top, "ui_sets", func(_ string, o *object) UISet {
			return UISet{o.str("description"), o.strings("uis")}
		}),
		Overrides: each(top, "overrides", func(_ string, o *object) Override {
			v := Override{
				Subjects: o.strings("subjects"), Services: o.strings("services"), Policy: o.str("policy"),
				BookAhead: o.duration("book_ahead"), MinDuration: o.duration("min_duration"), MaxDuration: o.duration("max_duration"),
				MaxUsage: o.duration("max_usage"), UISet: o.str("ui_set"),
			}
			if n, ok := o.integer("max_bookings"); ok {
				v.MaxBookings = &n
			}
			return v
		}),
		Roles: each(top, "roles", func(_ string, o *object) RoleBinding {
			r := RoleBinding{Role: o.str("role"), Scope: o.str("scope"), Subjects: o.strings("subjects"), Groups: o.strings("groups")}
			for _, co := range o.objects("claims") {
				r.Claims = append(r.Claims, ClaimRule{co.str("issuer"), co.str("claim"), co.str("value")})
				co.done()
			}
			return r
		}),
	}
	top.done()
	return c
}

// state reads whether an experiment is to be in service.
func (o *object) state() *StateWish {
	n := o.take("state")
	if n == nil {
		return nil
	}
	so := o.rd.object(join(o.path, "state"), n)
	defer so.done()
	if _, said := so.fields["online"]; !said {
		o.fault("state", "state does not say whether it is online")
		return nil
	}
	return &StateWish{Online: so.boolean("online"), Reason: so.str("reason")}
}

// removals reads which objects a file takes out: names by kind.
func (rd *reader) removals(top *object) []ObjectID {
	n := top.take("remove")
	if n == nil {
		return nil
	}
	var out []ObjectID
	o := rd.object("remove", n)
	for _, kind := range kinds {
		for _, name := range o.strings(kind) {
			if !goodName(name) {
				o.fault(kind, "%q is no name of an object", name)
				continue
			}
			out = append(out, ObjectID{kind, name})
		}
	}
	o.done()
	return out
}

// readDescription reads a description whose title is in a field.
func readDescription(title string) func(string, *object) Description {
	return func(_ string, o *object) Description {
		return Description{o.str(title), o.str("short"), o.str("long"), o.str("further"), o.str("thumb"), o.str("image")}
	}
}

func readWindow(_ string, o *object) Window {
	return Window{o.intervals("allowed"), o.intervals("denied")}
}

func readGuide(_ string, o *object) Guide {
	g := Guide{Label: o.str("label")}
	if d := o.duration("book_ahead"); d != nil {
		g.BookAhead = *d
	}
	if d := o.duration("duration"); d != nil {
		g.Duration = *d
	}
	g.MaxSlots, _ = o.integer("max_slots")
	return g
}

// readSlot reads a slot that names its experiment in a field.
func readSlot(o *object, experiment string) Slot {
	return Slot{o.str("description"), o.str(experiment), o.str("policy"), o.str("ui_set"), o.str("window")}
}

func readStream(o *object) Stream {
	return Stream{
		For: o.str("for"), Topic: o.str("topic"), Scopes: o.strings("scopes"),
		ConnectionType: o.str("connection_type"), URL: o.str("url"),
	}
}

// of gives a stream its topic.
func (s Stream) of(stub string) Stream {
	if s.Topic == "" || s.Topic == "auto" {
		s.Topic = stub + "-" + s.For
	}
	if s.ConnectionType == "" {
		s.ConnectionType = "session"
	}
	return s
}
