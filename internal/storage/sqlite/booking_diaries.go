package sqlite

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// Diaries is Busy with the two steps taken from each of the experiments. A diary
// comes as one text, since a row that is handed over takes several times as long
// as the reading of it.
func (b bookingTx) Diaries(t lodge.Tenant, experiments []string, within booking.Interval, limit int) (map[string][]booking.Interval, error) {
	names, err := json.Marshal(append([]string{}, experiments...))
	if err != nil {
		return nil, bookingErr("diaries", err)
	}
	from, until := Micros(within.Start), Micros(within.End)
	list := map[string][]booking.Interval{}
	err = b.each(func(scan func(...any) error) error {
		var experiment, before, inside string
		if err := scan(&experiment, &before, &inside); err != nil {
			return err
		}
		first, err := intervals(before)
		if err != nil {
			return err
		}
		rest, err := intervals(inside)
		if len(first) > 0 && first[0].End.After(within.Start) {
			rest = append(first, rest...)
		}
		list[experiment] = rest[:min(limit, len(rest))]
		return err
	}, `SELECT x.value,
			coalesce((SELECT start_at || ' ' || end_at FROM bookings
				WHERE tenant = ? AND experiment = x.value AND exclusive = 1 AND cancelled_at = 0 AND start_at < ?
				ORDER BY start_at DESC LIMIT 1), ''),
			coalesce((SELECT group_concat(start_at || ' ' || end_at, ' ') FROM (SELECT start_at, end_at FROM bookings
				WHERE tenant = ? AND experiment = x.value AND exclusive = 1 AND cancelled_at = 0 AND start_at >= ? AND start_at < ?
				ORDER BY start_at LIMIT ?+0)), '')
		FROM json_each(?) x`, t, from, t, from, until, limit, string(names))
	return list, bookingErr("diaries", err)
}

// intervals reads the starts and ends of a diary, all divided by spaces.
func intervals(text string) ([]booking.Interval, error) {
	if text == "" {
		return nil, nil
	}
	list := make([]booking.Interval, 0, 1+len(text)/34)
	for text != "" {
		var at [2]int64
		for i := range at {
			var one string
			var err error
			one, text, _ = strings.Cut(text, " ")
			if at[i], err = strconv.ParseInt(one, 10, 64); err != nil {
				return nil, fmt.Errorf("a time of the diary: %w", err)
			}
		}
		list = append(list, booking.Interval{Start: Time(at[0]), End: Time(at[1])})
	}
	return list, nil
}
