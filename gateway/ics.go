package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge/booking"
)

// bookingICS is a booking as an iCalendar file (RFC 5545).
func (g *Gateway) bookingICS(w http.ResponseWriter, r *http.Request) error {
	b, _, err := g.mine(r)
	if err != nil {
		return err
	}
	cat, err := g.desk.Catalogue(r.Context(), b.Tenant)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/calendar; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="booking.ics"`)
	h.Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(g.icsOf(b, describe(cat, b.Experiment).title)))
	return nil
}

// icsOf writes a booking of an experiment with a title as a calendar file. A later
// version of it takes the place of the one before in whoever's calendar has it.
func (g *Gateway) icsOf(b booking.Booking, title string) string {
	status := "CONFIRMED"
	if b.State == booking.Cancelled {
		status = "CANCELLED"
	}
	const form = "20060102T150405Z"
	launch := g.cfg.PublicURL + "/launch/" + b.ID
	return icsFold([]string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Lodge//Lodge//EN", "METHOD:PUBLISH", "BEGIN:VEVENT",
		"UID:" + b.ID + "@" + hostname(g.cfg.PublicURL),
		fmt.Sprintf("SEQUENCE:%d", b.Version),
		"DTSTAMP:" + g.clock.Now().UTC().Format(form),
		"DTSTART:" + b.Start.UTC().Format(form),
		"DTEND:" + b.End.UTC().Format(form),
		"SUMMARY:" + icsText(title),
		"DESCRIPTION:" + icsText("Launch: "+launch),
		"URL:" + launch,
		"STATUS:" + status,
		"END:VEVENT", "END:VCALENDAR",
	})
}

// icsText escapes a text value (RFC 5545 section 3.3.11).
func icsText(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`).Replace(s)
}

// icsFold joins content lines, folded to 75 octets and never inside a character
// (RFC 5545 section 3.1).
func icsFold(lines []string) string {
	var out strings.Builder
	for _, line := range lines {
		width := 0
		for _, r := range line {
			n := len(string(r))
			if width+n > 75 {
				out.WriteString("\r\n ")
				width = 1
			}
			out.WriteRune(r)
			width += n
		}
		out.WriteString("\r\n")
	}
	return out.String()
}
