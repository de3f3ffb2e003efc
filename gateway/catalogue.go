package gateway

import (
	"maps"
	"slices"

	"github.com/lodge-gateway/lodge/booking"
)

// about is what people read about an experiment.
type about struct{ title, short, image string }

func describe(cat *booking.Catalogue, experiment string) about {
	a := about{title: experiment}
	if d, ok := cat.Descriptions[cat.Experiments[experiment].Description]; ok {
		a = about{title: orElse(d.Title, experiment), short: d.Short, image: d.Image}
	}
	return a
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
