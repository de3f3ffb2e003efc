package web

import (
	"fmt"
	"html/template"
	"time"
)

// DayFormat is how a day stands in an address.
const DayFormat = "2006-01-02"

// Day is a day of the calendar, from midnight to midnight where the reader is.
type Day struct {
	Start, End time.Time
	Chosen     bool
}

// Date is the day as an address has it.
func (d Day) Date() string { return d.Start.Format(DayFormat) }

// Has reports whether a time lies in the day.
func (d Day) Has(t time.Time) bool { return !t.Before(d.Start) && t.Before(d.End) }

// Days returns n days in a zone, from the one that a time lies in.
func Days(from time.Time, n int, zone *time.Location) []Day {
	from = from.In(zone)
	days := make([]Day, n)
	for i := range days {
		// Not 24 hours each: the clocks change.
		days[i].Start = time.Date(from.Year(), from.Month(), from.Day()+i, 0, 0, 0, 0, zone)
		days[i].End = time.Date(from.Year(), from.Month(), from.Day()+i+1, 0, 0, 0, 0, zone)
	}
	return days
}

// Day returns the chosen day.
func (b Book) Day() Day {
	for _, d := range b.Days {
		if d.Chosen {
			return d
		}
	}
	return Day{Start: b.From, End: b.Until}
}

// Address is a page of the calendar: of the same group, with a day and a way of
// looking at it.
func (b Book) Address(date, by string) string {
	address := "/book?group=" + template.URLQueryEscaper(b.Group.Name) + "&day=" + template.URLQueryEscaper(date)
	if by == ByTime {
		address += "&by=" + ByTime
	}
	return address
}

// ByTime shows a day by the hour instead of by the experiment.
const ByTime = "time"

// On returns the slot as it is on one day: with what is free of it then.
func (s Slot) On(d Day) Slot {
	var free []Interval
	for _, i := range s.Free {
		if i.Start.Before(d.Start) {
			i.Start = d.Start
		}
		if i.End.After(d.End) {
			i.End = d.End
		}
		if i.End.After(i.Start) {
			free = append(free, i)
		}
	}
	s.Free = free
	return s
}

// FreeFor is how long the slot is free in all, in seconds.
func (s Slot) FreeFor() int {
	var sum time.Duration
	for _, i := range s.Free {
		sum += i.End.Sub(i.Start)
	}
	return int(sum / time.Second)
}

// Hour is an hour of a day with the slots that can begin in it.
type Hour struct {
	Start time.Time
	Slots []HourSlot
}

// HourSlot is a slot that can begin at a time; Index is its place in the group.
type HourSlot struct {
	Slot  Slot
	Index int
	Start time.Time
}

// Hours lists the hours of the chosen day in which something can begin, each slot
// with its first beginning in it.
func (b Book) Hours() []Hour {
	day := b.Day()
	var hours []Hour
	for at := day.Start; at.Before(day.End); at = at.Add(time.Hour) {
		hour := Hour{Start: at}
		for i, s := range b.Group.Slots {
			for _, start := range s.On(day).Starts(b.Now) {
				if !start.Before(at) && start.Before(at.Add(time.Hour)) {
					hour.Slots = append(hour.Slots, HourSlot{s, i, start})
					break
				}
			}
		}
		if len(hour.Slots) > 0 {
			hours = append(hours, hour)
		}
	}
	return hours
}

// dayName writes a day of the calendar: "Mon 2 Jan".
func (p *Printer) dayName(d Day) string { return p.date(d.Start) }

// dayShort is its two lines in a narrow column.
func (p *Printer) dayShort(d Day) template.HTML {
	return element("span", `class="weekday"`, p.T(weekdays[d.Start.Weekday()])) + template.HTML(fmt.Sprint(d.Start.Day())) //nolint:gosec // a number
}

// roughly writes how much of a day is free, in hours once it is more than one.
func (p *Printer) roughly(seconds int) string {
	if seconds >= 3600 {
		return p.T("{n} h", "n", (seconds+1800)/3600)
	}
	return p.T("{n} min", "n", seconds/60)
}
