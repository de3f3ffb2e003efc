package personstest

import (
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// testMailboxes: what is noted and what is chosen leave one another alone, and an
// erased person has neither.
func testMailboxes(t *testing.T, h Harness) {
	s, ctx := h.Store, t.Context()
	who := signIn(t, s, here, ada)
	want := func(tenant lodge.Tenant, id lodge.PersonID, want idp.Mailbox) {
		t.Helper()
		if got, err := s.Mailbox(ctx, tenant, id); err != nil || got != want {
			t.Errorf("mailbox %+v %v, want %+v", got, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want(here, who.ID, idp.Mailbox{})
	want(here, "nobody", idp.Mailbox{})
	must(s.NoteMailbox(ctx, here, who.ID, "ada@example.org", "de"))
	want(here, who.ID, idp.Mailbox{Address: "ada@example.org", Language: "de"})
	must(s.ChooseMail(ctx, here, who.ID, true, true))
	must(s.NoteMailbox(ctx, here, who.ID, "", "en"))
	must(s.NoteMailbox(ctx, here, who.ID, "king@example.org", ""))
	want(here, who.ID, idp.Mailbox{Address: "king@example.org", Language: "en", Off: true, NoReminders: true})
	want("elsewhere", who.ID, idp.Mailbox{})
	must(s.ChooseMail(ctx, here, who.ID, false, true))
	want(here, who.ID, idp.Mailbox{Address: "king@example.org", Language: "en", NoReminders: true})
	must(s.ChooseMail(ctx, here, "guest", true, false))
	want(here, "guest", idp.Mailbox{Off: true})
	must(s.Erase(ctx, here, who.ID))
	want(here, who.ID, idp.Mailbox{})
}
