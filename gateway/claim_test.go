package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// bookFor books for a guest, as an instructor.
func (b *browser) bookFor(slot, name, surname string, headers ...pair) gateway.BookingView {
	b.Helper()
	return call[gateway.BookingView](b, 201, "POST", "/api/v1/bookings", gateway.BookRequest{
		Group: "everyone", Slot: slot, Seconds: 300, OnBehalf: &gateway.OnBehalf{Name: name, Surname: surname},
	}, headers...)
}

func TestClaim(t *testing.T) {
	l := newLab(t)
	ada, soren, grace, root := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace"), l.signedIn("root")
	b := grace.bookFor("pend00-everyone", "A. Lovelace", "Lovelace", pair{"Idempotency-Key", "once"})
	if again := grace.bookFor("pend00-everyone", "A. Lovelace", "Lovelace", pair{"Idempotency-Key", "once"}); again.ID != b.ID || again.Reference != b.Reference {
		t.Errorf("again: %+v", again)
	}
	guest := l.lookUp(b)
	id := guest.me().Person
	survey := call[gateway.SurveyView](grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{
		To: "booking:" + b.ID, Title: "S", Questions: []gateway.QuestionView{{ID: "q", Kind: "text", Text: "?"}},
	})
	at := "/api/v1/surveys/" + survey.ID
	call[gateway.SurveyView](guest, 200, "POST", at+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"q": {Text: "mine"}}})
	activity := guest.launch(b)
	if ada.bookingIDs() != "" {
		t.Fatal("ada has a booking before she claims it")
	}

	messages := ada.messages()
	messages.caughtUp()
	got := call[struct{ Booking gateway.BookingView }](ada, 200, "POST", "/api/v1/me/claims", gateway.LookupRequest{Surname: "lovelace", Reference: b.Reference})
	if got.Booking.ID != b.ID || got.Booking.Reference != b.Reference || ada.bookingIDs() != b.ID {
		t.Errorf("claimed %+v, and has %s", got, ada.bookingIDs())
	}
	if mine := call[gateway.SurveyView](ada, 200, "GET", at, nil); mine.Mine["q"].Text != "mine" {
		t.Errorf("the guest's answer is not hers: %+v", mine)
	}
	call[map[string]string](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "booking:" + b.ID, Text: "for whoever has it"})
	messages.notice("for whoever has it")

	// What the reference opened goes on, and the reference with it.
	guest.me()
	guest.stream(activity, "data")
	guest.stream(guest.launch(b), "data")
	l.lookUp(b).me()
	// Her own again changes nothing; for others it is a miss like any other.
	call[struct{ Booking gateway.BookingView }](ada, 200, "POST", "/api/v1/me/claims", gateway.LookupRequest{Surname: "lovelace", Reference: b.Reference})
	hit := soren.refused(404, "POST", "/api/v1/me/claims", gateway.LookupRequest{Surname: "lovelace", Reference: b.Reference})
	miss := soren.refused(404, "POST", "/api/v1/me/claims", gateway.LookupRequest{Surname: "nobody", Reference: b.Reference})
	none := l.browser().refused(404, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: "nobody", Reference: b.Reference})
	if hit.Detail != miss.Detail || miss.Detail != none.Detail {
		t.Errorf("misses differ: %q, %q, %q", hit.Detail, miss.Detail, none.Detail)
	}
	guest.refused(403, "POST", "/api/v1/me/claims", gateway.LookupRequest{Surname: "lovelace", Reference: b.Reference})
	l.audited(root, audit.Claim, "person:"+id)

	// An administrator may take it back.
	call[gateway.PersonView](root, 200, "POST", "/api/v1/admin/persons/"+id+"/unmerge", nil)
	if ada.bookingIDs() != "" || guest.bookingIDs() != b.ID {
		t.Errorf("after it was undone ada has %q and the guest %q", ada.bookingIDs(), guest.bookingIDs())
	}
}

func TestSec33_ClaimsAreLimitedAsLookups(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	b := grace.bookFor("pend00-everyone", "A. Lovelace", "Lovelace")
	for range 10 {
		ada.refused(404, "POST", "/api/v1/me/claims", gateway.LookupRequest{Surname: "lovelace", Reference: "ZZZZZZ"})
	}
	ada.refused(429, "POST", "/api/v1/me/claims", gateway.LookupRequest{Surname: "lovelace", Reference: b.Reference})
	l.browser().refused(429, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: "lovelace", Reference: b.Reference})
}

func TestBookingOnBehalf(t *testing.T) {
	l := newLab(t)
	ada, grace, root := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("root")
	req := gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300, OnBehalf: &gateway.OnBehalf{Name: "A Guest", Surname: "Guest"}}
	ada.refused(403, "POST", "/api/v1/bookings", req)
	nameless, surnameless := req, req
	nameless.OnBehalf, surnameless.OnBehalf = &gateway.OnBehalf{Surname: "Guest"}, &gateway.OnBehalf{Name: "A Guest"}
	grace.refused(422, "POST", "/api/v1/bookings", nameless)
	grace.refused(422, "POST", "/api/v1/bookings", surnameless)
	taken := ada.book("pend00-everyone")
	grace.refused(409, "POST", "/api/v1/bookings", req)
	if found := call[gateway.PersonsView](root, 200, "GET", "/api/v1/admin/persons?q=guest", nil); len(found.Persons) != 0 {
		t.Errorf("refused bookings left %+v", found.Persons)
	}
	b := grace.bookFor("pend02-everyone", "A Guest", "Guest")
	if grace.bookingIDs() != "" || ada.bookingIDs() != taken.ID {
		t.Error("the guest's booking is somebody else's")
	}
	if found := call[gateway.PersonsView](root, 200, "GET", "/api/v1/admin/persons?q=guest", nil); len(found.Persons) != 1 || !found.Persons[0].Guest {
		t.Errorf("the guest is %+v", found.Persons)
	}

	// The page claims with a plain form, and keeps what was typed when it misses.
	page := ada.do("POST", "/claims", url.Values{"surname": {"Gast"}, "reference": {b.Reference}})
	if page.status != http.StatusNotFound || !strings.Contains(string(page.body), `value="Gast"`) {
		t.Errorf("a miss: %d %s", page.status, page.body)
	}
	if got := ada.do("POST", "/claims", url.Values{"surname": {"Guest"}, "reference": {b.Reference}}); got.status != 303 || got.header.Get("Location") != "/bookings/"+b.ID+"?done=claimed" {
		t.Errorf("claim: %d to %s", got.status, got.header.Get("Location"))
	}
}
