package main

import (
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge/booking"
)

// The size of large production manifests.
const (
	benchExperiments = 110
	benchSlots       = 540
	benchPolicies    = 20
	benchWide        = 71 // slots of the widest group
)

// benchDay is where bookings begin: so far from now that none does.
func benchDay() time.Time { return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 7) }

func benchSlot(policy, experiment int) string { return fmt.Sprintf("s%02d-%03d", policy, experiment) }

// benchCatalogue is a laboratory of that size. Everybody's group has all
// experiments, a wide one 71 of them, and one has a rig to itself.
func benchCatalogue() booking.Catalogue {
	limit := booking.Duration(3 * time.Hour)
	ahead := booking.Duration(2000 * time.Hour)
	c := booking.Catalogue{
		Experiments: map[string]booking.Experiment{}, Slots: map[string]booking.Slot{}, Policies: map[string]booking.Policy{},
		Groups: map[string]booking.Group{}, Descriptions: map[string]booking.Description{}, Pools: map[string]booking.Pool{},
		UIs: map[string]booking.UI{"ui": {URL: "https://ui.example.org/?streams={{streams}}"}}, UISets: map[string]booking.UISet{"set": {UIs: []string{"ui"}}},
		Windows: map[string]booking.Window{"open": {Allowed: []booking.Interval{{
			Start: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2900, 1, 1, 0, 0, 0, 0, time.UTC),
		}}}},
	}
	for n := range benchExperiments {
		name := fmt.Sprintf("x%03d", n)
		c.Descriptions[name] = booking.Description{Title: "Experiment " + name, Short: "An experiment."}
		e := booking.Experiment{Description: name}
		for _, use := range []string{"data", "video"} {
			e.Streams = append(e.Streams, booking.Stream{For: use, Topic: name + "-" + use, Scopes: []string{"read"}, ConnectionType: "session"})
		}
		c.Experiments[name] = e
	}
	for n := range benchPolicies {
		p := fmt.Sprintf("p%02d", n)
		c.Policies[p] = booking.Policy{BookAhead: &ahead, MaxDuration: &limit}
		c.Groups[fmt.Sprintf("g%02d", n)] = booking.Group{Policies: []string{p}}
	}
	add := func(name, policy string, experiment int) {
		c.Slots[name] = booking.Slot{Experiment: fmt.Sprintf("x%03d", experiment), Policy: policy, UISet: "set", Window: "open"}
	}
	c.Policies["wide"], c.Policies["rig"] = c.Policies["p00"], c.Policies["p00"]
	c.Groups["wide"], c.Groups["rig"] = booking.Group{Policies: []string{"wide"}}, booking.Group{Policies: []string{"rig"}}
	delete(c.Policies, "p18") // 20 with the two others
	delete(c.Policies, "p19")
	delete(c.Groups, "g18")
	delete(c.Groups, "g19")
	for n := range benchExperiments {
		add(benchSlot(0, n), "p00", n)
	}
	for n := range benchWide {
		add(benchSlot(99, n), "wide", n)
	}
	add("rig", "rig", benchExperiments-1)
	for n := 0; len(c.Slots) < benchSlots; n++ {
		policy := 1 + n%(benchPolicies-3)
		add(benchSlot(policy, n/(benchPolicies-3)), fmt.Sprintf("p%02d", policy), n%benchExperiments)
	}
	return c
}
