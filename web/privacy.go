package web

// PagePrivacy is /privacy.
const PagePrivacy = "privacy" // Privacy

// Privacy is what is held about the reader, and who dealt with it.
type Privacy struct {
	Layout
	Version string // of what the numbers stand for
	// How much there is.
	Identities, Bookings, Answers, Marks, Sessions int
	Cancelled                                      int // bookings to come or under way, which erasing cancels
	Refused                                        bool
	Confirm                                        string // where to sign in again before erasing; empty when that is not needed
	Entries                                        []AuditEntry
}

// What happened to a person's data, in words.
var deeds = map[string]string{
	"look": Text("looked at what is held about you"), "role-change": Text("your roles changed"), "sessions-end": Text("your sessions were ended"),
	"person-disable": Text("your account was disabled"), "person-enable": Text("your account was enabled"), "merge": Text("you were merged with another person"),
	"unmerge": Text("a merge was undone"), "claim": Text("a booking made for you was taken over"), "erase": Text("you were erased"),
	"link": Text("an account was added"), "unlink": Text("an account was removed"), "export": Text("what is held about you was exported"),
}

// Deed says what was done in an entry about the reader, in English.
func (e AuditEntry) Deed() string {
	if said, ok := deeds[e.Action]; ok {
		return said
	}
	return e.Action
}
