package web

import "time"

// hostile is typed by somebody who would like to run a script in a page.
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>' javascript:alert(3) {{.}}`

// fixture holds one of every view, empty and full.
type fixture struct {
	page string
	data any
}

var testNow = time.Date(2026, 7, 29, 14, 3, 0, 0, time.UTC)

// emptyViews are the zero views, signed out and signed in.
func emptyViews() []fixture {
	out := Layout{Title: "Title", Now: testNow}
	in := out
	in.Person = &Person{ID: "p1", Name: "Ada", Kind: "login", Instructor: true, Technician: true, Administrator: true}
	var all []fixture
	for _, l := range []Layout{out, in} {
		all = append(all,
			fixture{PageHome, Home{Layout: l}}, fixture{PageLogin, Login{Layout: l}}, fixture{PageLookup, Lookup{Layout: l}}, fixture{PagePartners, Partners{Layout: l}}, fixture{PagePartnerJoin, PartnerJoin{Layout: l}},
			fixture{PageBooking, BookingPage{Layout: l}}, fixture{PageBook, Book{Layout: l}}, fixture{PageLaunch, Launch{Layout: l}},
			fixture{PageMessages, Messages{Layout: l}}, fixture{PageSurvey, SurveyPage{Layout: l}}, fixture{PageHandIn, HandInPage{Layout: l}}, fixture{PageTeachHandIns, TeachHandIns{Layout: l}}, fixture{PageTeachHandIn, TeachHandIn{Layout: l}}, fixture{PageSurveys, Surveys{Layout: l}},
			fixture{PageSurveyEdit, SurveyEdit{Layout: l}}, fixture{PageResults, SurveyResults{Layout: l, Tally: Tally{Survey: Survey{Title: "T"}}}}, fixture{PageWall, SurveyResults{Layout: l}},
			fixture{PageAttendance, Attendance{Layout: l}}, fixture{PageRegisters, Registers{Layout: l}}, fixture{PageRegister, RegisterPage{Layout: l}}, fixture{PageScreen, RegisterScreen{Layout: l}}, fixture{PageSessions, Sessions{Layout: l}},
			fixture{PageTeach, Teach{Layout: l}}, fixture{PageScheduled, ScheduledPage{Layout: l, ID: "s1"}}, fixture{PageRigs, Rigs{Layout: l}}, fixture{PageAdmin, Admin{Layout: l}},
			fixture{PageAdminEnd, AdminEnd{Layout: l}}, fixture{PageAudit, Audit{Layout: l}},
			fixture{PageWaits, Waits{Layout: l}}, fixture{PageTeachBook, TeachBook{Layout: l}},
			fixture{PageMail, MailPage{Layout: l}}, fixture{PageLookupLink, LookupLink{Layout: l}},
			fixture{PageIdentities, Identities{Layout: l}}, fixture{PagePrivacy, Privacy{Layout: l}}, fixture{PageRigTest, RigTest{Layout: l, Until: testNow}}, fixture{PageProviders, Providers{Layout: l}}, fixture{PageSystem, System{Layout: l}}, fixture{PagePersons, Persons{Layout: l}}, fixture{PageMerge, Merge{Layout: l}},
			fixture{PageCatalogue, Catalogue{Layout: l}}, fixture{PageRoles, Roles{Layout: l}}, fixture{PageGroup, GroupPage{Layout: l}}, fixture{PageMember, MemberPage{Layout: l}}, fixture{PageJoin, JoinPage{Layout: l}},
			fixture{PageProblem, ProblemPage{Layout: l, Status: 404, Detail: "Nothing here."}}, fixture{PageSignedIn, SignedIn{l}})
	}
	return all
}

// fullViews fill every field, each text with t.
func fullViews(t string) []fixture {
	l := Layout{Title: t, Nav: PageHome, Path: "/here", Site: t, Flash: t, Now: testNow, Unread: 3,
		Person:  &Person{ID: t, Name: t, Kind: "login", Instructor: true, Technician: true, Administrator: true},
		Problem: &Problem{Title: t, Detail: t, Fields: map[string]string{"surname": t, "reference": t, "notice-to": t, "notice-text": t, "notice-title": t, "register-title": t, "start": t, "seconds": t}},
		Resume:  map[string]string{"all": t}}
	limited := l
	limited.Person = &Person{ID: t, Name: t, Kind: "booking", Booking: "b1"}
	issuers := []Issuer{{ID: "dev", Name: t, URL: "/login/dev"}}
	under := Booking{ID: "b1", Reference: "7K4PQX", Surname: t, Owner: t, Experiment: t, Title: t, Group: t, Policy: t, Slot: t,
		Start: testNow.Add(-time.Minute), End: testNow.Add(4 * time.Minute), State: "booked", Online: true, Extend: []int{5, 10}, MessagesTo: testNow.Add(168 * time.Hour)}
	coming := under
	coming.Start, coming.End, coming.Online = testNow.Add(time.Hour), testNow.Add(2*time.Hour), false
	cancelled := under
	cancelled.State, cancelled.Reason = "cancelled", t
	message := Message{ID: t, Topic: t, Position: t, Type: "lodge.notice", Time: testNow, Title: t, Text: t, Priority: "important", From: t, To: t, Unread: true, About: t, Replies: true, Reply: t, Key: t}
	survey, secret, tally := fullSurvey(t)
	mark := Mark{Person: t, Name: t, State: "present", Source: "experiment", Confirmed: true, Seconds: 250, FirstSeen: testNow, LastSeen: testNow}
	register := Register{ID: "r1", Title: t, Group: t, Start: testNow, End: testNow.Add(time.Hour), Open: true, Mine: Mark{State: "expected"}, Marks: []Mark{mark, {Name: t, State: "absent", Source: "closed"}}, CSV: "/api/v1/registers/r1.csv"}
	confirmed := register
	confirmed.Mine, confirmed.Open = mark, false
	slot := Slot{Slot: t, Policy: t, Experiment: t, Title: t, Short: t, Online: true, MinSeconds: 60, MaxSeconds: 1800,
		Free: []Interval{{testNow.Add(-time.Hour), testNow.Add(2 * time.Hour)}, {testNow.Add(5 * time.Hour), testNow.Add(9 * time.Hour)}}}
	busy := slot
	busy.Free, busy.Online = nil, false
	group := Group{Name: t, Title: t, Slots: []Slot{slot, busy}}
	session := Session{ID: "x1", Kind: "login", Person: t, Name: t, Booking: t, Device: t, Address: t, State: "active", Idle: true, Current: true, CreatedAt: testNow, SeenAt: testNow, ExpiresAt: testNow}
	ended := session
	ended.State, ended.Current, ended.Kind = "revoked", false, "booking"
	host, service := Session{ID: "x2", Kind: "host", Experiment: t, State: "active", Sockets: Sockets{Streams: 1}}, Session{ID: "x3", Kind: "service", Scopes: []string{t, t}, State: "pending", Sockets: Sockets{Messages: 2, Streams: 3}}
	ui := UI{Name: t, Title: t, URL: "http://localhost:9/assets/pendulum/?streams=%5B%5D&exp=1"}
	row := PersonRow{ID: "p1", Name: t, Email: t, Accounts: []string{t}, Guest: true, Disabled: true}
	merged := row
	merged.ID, merged.MergedInto = "p2", "p1"
	audience := Audiences{All: []Audience{{"all", t, 12}, {"group:g", t, 1}, {"user:p", t, -1}}, Find: t, More: true, None: true}
	work := Work{Person: t, Name: t, Version: 1, At: testNow, DaysLate: 1, SHA256: t, Files: []WorkFile{{ID: t, Name: t, URL: "/f", Text: true}, {ID: t, Name: t, URL: "/f"}}, Graded: true, Points: 5, Counted: 4, Words: t}
	handIn := HandIn{ID: t, To: t, Title: t, Instructions: t, Deadline: testNow, Late: "penalty", PerDay: 1, Points: 10, Files: 5, FileMiB: "20", TotalMiB: "50", Types: t, Standing: "late", Mine: &work, HandedIn: 2}
	return []fixture{
		{PageHandIn, HandInPage{Layout: l, HandIn: handIn, Text: t, Key: t}}, {PageTeachHandIns, TeachHandIns{Layout: l, HandIns: []HandIn{handIn}, Form: HandInForm{Title: t, Instructions: t, Zone: t}}}, {PageTeachHandIn, TeachHandIn{Layout: l, HandIn: handIn, Work: []Work{work, {Person: t, Name: t}}}},
		{PageHome, Home{Layout: l, Bookings: []Booking{under, coming}, Past: []Booking{cancelled}, Groups: []Group{group, {Name: t}}, Messages: []Message{message}, Surveys: []Survey{survey}, Registers: []Register{register}}},
		{PageHome, Home{Layout: Layout{Title: t, Now: testNow, Problem: l.Problem}, Issuers: issuers, Lookup: LookupForm{t, t}}},
		{PageLogin, Login{Layout: l, Issuers: issuers, Lookup: LookupForm{t, t}}}, {PageLookup, Lookup{Layout: l, Form: LookupForm{t, t}, Limited: true, Mails: true}},
		{PageWaits, Waits{Layout: l, Group: group, Groups: []Group{group, {Name: "g2"}}, Choices: []Choice{{"pool:p", t}, {"slot:s", t}}, AskSurname: true,
			Form:  WaitForm{Choice: "pool:p", Start: "2026-07-29T09:00", Minutes: 10, Surname: t, Key: t},
			Waits: []Wait{{ID: "w1", Group: t, Title: t, Until: testNow, Seconds: 600, Place: 2}, {ID: "w2", Group: t, Title: t, Until: testNow, Seconds: 600, Place: 1, Key: t, Offer: &WaitOffer{t, testNow, testNow.Add(time.Hour), testNow.Add(time.Minute)}}}}},
		{PageTeachBook, TeachBook{Layout: l, Group: group, Groups: []Group{group, {Name: "g2"}}, Choices: []Choice{{"pool:p", t}}, Members: []PartyMember{{"p1", t, true}, {"p2", t, false}},
			Form:   PartyForm{Choice: "pool:p", From: "2026-07-29T09:00", Until: "2026-07-29T10:00", Minutes: 10, Partial: true, Name: t, Surname: t, Key: t},
			Places: []PartyPlace{{Name: t, Experiment: t, Start: testNow, End: testNow.Add(time.Hour)}, {Name: t, Detail: t}}}},
		{PageMail, MailPage{Layout: l, Sends: true, Address: t, Bookings: true}}, {PageLookupLink, LookupLink{Layout: l, Key: t}},
		{PageBooking, BookingPage{Layout: l, Booking: under, Surveys: []Survey{survey}, Registers: []Register{register, confirmed}}},
		{PageBooking, BookingPage{Layout: limited, Booking: coming, Longest: coming.End.Add(time.Minute)}}, {PageBooking, BookingPage{Layout: l, Booking: cancelled}},
		{PageBook, Book{Layout: l, Group: group, Groups: []Group{group, {Name: "g2"}}, From: testNow, Until: testNow.Add(24 * time.Hour), Days: Days(testNow, 7, time.UTC), Earlier: "2026-07-22", Later: "2026-08-05", AskSurname: true, Form: BookForm{Slot: t, Seconds: 600, Surname: t, Key: t}}},
		{PageBook, Book{Layout: l, Group: group, Groups: []Group{group, {Name: "g2"}}, From: testNow, Until: testNow.Add(24 * time.Hour), Days: Days(testNow, 7, time.UTC), Earlier: "2026-07-22", Later: "2026-08-05", By: ByTime, Form: BookForm{Slot: t, Seconds: 600, Surname: t, Key: t}}},
		{PageLaunch, Launch{Layout: limited, Booking: under, UI: &ui, UIs: []UI{ui, {Name: "simple"}}, Messages: []Message{message}, Surveys: []Survey{survey}, Registers: []Register{register}}},
		{PageLaunch, Launch{Layout: l, Booking: cancelled, Closed: t}},
		{PagePartners, Partners{Layout: l, Booking: under, Link: t, May: true, Control: Control{Booking: "b1", Owner: true, Open: true, People: []Partner{{ID: "p1", Name: t, Owner: true, You: true}, {ID: "p2", Name: t, Controls: true}, {ID: "p3", Name: t, Asks: true}}}}},
		{PagePartners, Partners{Layout: l, Booking: under, Partner: true, Control: Control{Booking: "b1", Mine: true, Open: true, People: []Partner{{ID: "p1", Name: t, Owner: true}, {ID: "p2", Name: t, You: true, Controls: true}}}}},
		{PagePartnerJoin, PartnerJoin{Layout: l, Booking: coming, By: t, Key: t}},
		{PageMessages, Messages{Layout: l, Messages: []Message{message}, Older: "/messages?before=x"}},
		{PageSurvey, SurveyPage{Layout: l, Survey: survey}}, {PageSurvey, SurveyPage{Layout: l, Survey: secret, Results: &tally}},
		{PageSurveys, Surveys{Layout: l, Audience: audience, Templates: []SurveyDraft{{ID: "s1", Title: t, Mode: "unlinkable", Questions: 1}}, To: "all", Key: t, Open: []Survey{survey}, Past: []Survey{secret},
			Drafts: []SurveyDraft{{ID: "s2", Title: t, To: t, Mode: "identified", Questions: 2, Opens: testNow, Changed: testNow, Own: true, Problem: t}}}},
		{PageSurveyEdit, SurveyEdit{Layout: l, Audience: audience, Small: 5, Form: SurveyForm{ID: "s1", Rev: 2, To: "all", Title: t, Intro: t, Mode: "pseudonymous", After: true, Opens: "2026-05-04T09:00", Closes: "2026-05-04T09:00", Small: "7", Template: true, Planned: testNow, Why: t,
			Questions: []QuestionForm{{"q1", t, t, "scale", t, "5", "0", "9", t, true}, {Kind: "text"}}, Key: t}}},
		{PageResults, SurveyResults{Layout: l, Tally: tally, Answer: t}}, {PageResults, SurveyResults{Layout: l, Tally: Tally{Survey: survey, Answered: 2, Small: 5, Held: true}}},
		{PageWall, SurveyResults{Layout: l, Tally: tally, Answer: t, QR: "data:image/png;base64,AAAA"}}, {PageAttendance, Attendance{Layout: l, Open: []Register{register}, Past: []Register{confirmed}}},
		{PageAttendance, Attendance{Layout: l, Coded: true, Code: t, Coming: []Register{{ID: "r5", Title: t, Group: t, Planned: true, Apologises: true}}, Total: PersonTotal{t, t, 1, 1, 1, 1, 67},
			Past: []Register{{ID: "r6", Title: t, Apologises: true, Mine: Mark{State: "absent", Source: "closed", Apology: Apology{t, "pending"}}}}}},
		{PageRegisters, Registers{Layout: l, Groups: []Group{group}, Form: SeriesForm{t, t, "2026-05-04T09:00", t, "60", "2", "5", "10", true, t}, Open: []Register{register},
			Planned: []Register{{ID: "r7", Title: t, Group: t, Planned: true, Series: true, Problem: t}}, Past: []Register{confirmed}, Totals: []GroupTotals{{group, []PersonTotal{{t, t, 1, 2, 3, 4, 50}}, "/x.csv"}}}},
		{PageRegisters, Registers{Layout: l}},
		{PageRegister, RegisterPage{Layout: l, Chosen: "p1", State: "late", Reason: t, Register: Register{ID: "r8", Title: t, Group: t, Open: true, Coded: true, Late: 5, Least: 1, Room: true, CSV: "/x.csv", Marks: []Mark{
			{Person: "p1", Name: t, State: "excused", Source: "manual", Reason: t, Seconds: 90, FirstSeen: testNow, Apology: Apology{t, "pending"}, Changes: []MarkChange{{"excused", t, t, testNow}, {"", t, t, testNow}}},
			{Person: "p2", Name: t, State: "expected", Apology: Apology{t, "declined"}}}},
			Import: &RegisterImport{Table: t, Names: true, Marks: []ImportedMark{{2, t, "expected", "late", t}}, Added: []ImportedName{{3, t, false}}, Same: 2, Unread: []UnreadLine{{4, t, t}}}}},
		{PageRegister, RegisterPage{Layout: l, Register: Register{ID: "r9", Title: t}, Import: &RegisterImport{}}},
		{PageScreen, RegisterScreen{Layout: l, Register: register, Code: "BCDFG", Address: t, QR: "M4 4h7v1h-7z", Size: 33, Next: 9000}}, {PageScreen, RegisterScreen{Layout: l, Register: confirmed}},
		{PageSessions, Sessions{Layout: l, Sessions: []Session{session, ended}}},
		{PageTeach, Teach{Layout: l, Audience: audience, Notice: NoticeForm{To: "all", Title: t, Text: t, Priority: "important", Key: t, Replies: true, At: "2026-05-04T09:00", Expires: "2026-05-05T09:00", Zone: t},
			Sent:  []Sent{{Message: message, Sent: 3, Delivered: 2, Read: 1, Online: 2, Acknowledge: true, Expired: true, People: []Receipt{{t, t, "read", true}, {t, t, "sent", false}}}},
			Inbox: true, Replies: []Message{{ID: "r1", Time: testNow, Text: t, From: t, To: t, About: t, Unread: true}},
			Scheduled: []Scheduled{{"s1", t, t, t, "safety", testNow, testNow, "waiting", ""}, {"s2", t, t, t, "info", testNow, time.Time{}, "refused", t}},
			Surveys:   []Survey{survey}, Registers: []Register{register, confirmed}, Bookings: []Booking{under}, Present: []Present{{t, t, true, []string{t}}, {Name: t}}}},
		{PageScheduled, ScheduledPage{Layout: l, ID: "s1", Audience: audience, Notice: NoticeForm{To: "all", Title: t, Text: t, Priority: "safety", At: "2026-05-04T09:00", Zone: "UTC"}}},
		{PageRigs, Rigs{Layout: l, Experiments: []Experiment{{Experiment: t, Title: t, Online: true, Typed: t, Peers: []Peer{{t, "host", t, testNow, 50, 0.4, 0}, {t, "experiment", t, testNow, 0, 50, 3}}, Booking: &under, History: []AuditEntry{{Time: testNow, ActorName: t, Action: "experiment-state", Reason: t}, {Time: testNow, Action: "test-start"}}}, {Experiment: "pend01", Title: t, Reason: t}}}},
		{PageProviders, Providers{Layout: l, Providers: []Provider{{t, t, t, true, 3}, {ID: "x"}}}}, {PageSystem, System{Layout: l, Version: t, Ready: true, Online: 3}}, {PageSystem, System{Layout: l, Trouble: t}},
		{PageRigTest, RigTest{Layout: l, Experiment: t, Until: testNow, UIs: []UI{ui}}},
		{PageAdminEnd, AdminEnd{Layout: l, Target: Target{t, t, t, true}, Sessions: []Session{session, host}, More: 3}},
		{PageAudit, Audit{Layout: l, Form: AuditForm{t, t, t, t}, Actions: []string{t, "deny"}, Newer: "/admin/audit?before=9", Older: "/admin/audit?before=3", Entries: []AuditEntry{
			{Seq: 7, Time: testNow, Actor: t, ActorName: t, Action: t, Object: t, ObjectName: t, Reason: t, Address: t}, {Seq: 6, Time: testNow, Actor: "cli", Action: "deny"}}}},
		{PageAdmin, Admin{Layout: l, Query: t, Kind: "host", More: 2, Further: "/admin?shown=100", Sessions: []Session{session, ended, host, service}}}, {PageAdmin, Admin{Layout: l, Query: t}},
		{PageIdentities, Identities{Layout: l, Issuers: issuers, Identities: []Identity{{"i1", t, t, true}, {"i2", t, t, false}}, Claim: LookupForm{t, t}}},
		{PagePrivacy, Privacy{Layout: l, Version: t, Bookings: 2, Cancelled: 1, Entries: []AuditEntry{{Time: testNow, Actor: t, ActorName: t, Action: "look", Reason: t}, {Actor: "cli", Action: t}}}},
		{PagePrivacy, Privacy{Layout: l, Confirm: "/login/dev?fresh=true"}}, {PagePrivacy, Privacy{Layout: l, Refused: true}},
		{PagePersons, Persons{Layout: l, Query: t, People: []PersonRow{row, merged}, More: "/admin/persons?after=p1"}},
		{PagePersons, Persons{Layout: l, Merging: &row, People: []PersonRow{row, {ID: "p3"}}}},
		{PageMerge, Merge{Layout: l, Version: t, From: row, Into: PersonRow{ID: "p3"}, Bookings: []MergeBooking{{t, testNow, testNow.Add(time.Hour), true}},
			Answers: []MergeItem{{t, "", t}, {t, "", ""}}, Marks: []MergeItem{{t, t, t}, {t, t, ""}}, Sessions: []Session{session}}},
		{PageCatalogue, Catalogue{Layout: l, Manifest: t, Lenient: true, Prune: true, Message: t, Planned: true, Plan: CataloguePlan{Revision: 3, LeftOut: []string{t}, Ops: []CatalogueOp{{t, "add", nil}, {t, "change", []CatalogueField{{t, []byte(t), []byte(t)}}}, {t, "remove", nil}},
			Touched: []TouchedBooking{{ID: "b1", Name: t, Experiment: t, Start: testNow, End: testNow.Add(time.Hour), Because: []string{t}, Can: []string{"keep", "move", "cancel"}, Chosen: "move", MoveTo: t}}}}},
		{PageRoles, Roles{Layout: l, Roles: []RoleBinding{{Name: "r1", Role: "viewer", Scope: t, To: []string{t}}}, Form: RoleBinding{Name: t, Role: "viewer", Scope: t, Subject: t, Group: t}, Kinds: []string{"viewer"}, Explained: &Explained{Name: t, Roles: []ExplainedRole{{"viewer", t, []string{t}}}}}},
		{PageGroup, GroupPage{Layout: l, Group: "g1", Name: t, Codes: []JoinCode{{ID: "c1", Link: "https://lab.example/join/c", State: "good", ExpiresAt: testNow, Limit: 3, Uses: 1}, {ID: "c2", State: "revoked", Uses: 2, File: true}}, Members: []GroupMember{{"p1", t, testNow}, {"p2", t, time.Time{}}}}},
		{PageMember, MemberPage{Layout: l, Group: "g1", Name: t, Joined: testNow}}, {PageMember, MemberPage{Layout: l, Group: "g1", Name: t}},
		{PageJoin, JoinPage{Layout: l, Code: t, Group: t}}, {PageJoin, JoinPage{Layout: l, Code: t}},
		{PageProblem, ProblemPage{Layout: l, Status: 401, Detail: t}}, {PageSignedIn, SignedIn{l}},
		{PageProblem, ProblemPage{Layout: l, Status: 401, Detail: t, Held: &Held{To: "/teach/notices", Parts: true, Fields: []HeldField{{"text", t}, {t, t}}, Secrets: []string{"code"}, Files: []string{"file"}, SignIn: "/login"}}},
		{PageProblem, ProblemPage{Layout: l, Status: 503, Detail: t, Held: &Held{To: "/continue?to=%2Fx", Fields: []HeldField{{"text", t}}, Wait: 2, Idle: true}}},
		{PageProblem, ProblemPage{Layout: l, Status: 413, Detail: t, Held: &Held{TooLarge: true}}},
	}
}

// fullSurvey is a survey with every kind of question, one that is answered by
// ballot, and results.
func fullSurvey(t string) (open, secret Survey, tally Tally) {
	low, high := 0.5, 9.0
	open = Survey{ID: "s1", To: t, Title: t, Intro: t, Mode: "identified", Open: true, OpenedAt: testNow, Closes: testNow, After: true, Answered: 3, Questions: []Question{
		{ID: "q1", Section: t, Kind: "single", Text: t, Options: []string{t, "b"}, Required: true}, {ID: "q2", Kind: "multiple", Text: t, Options: []string{t, "b"}},
		{ID: "q3", Kind: "scale", Text: t, Max: 5, Labels: []string{t, t}}, {ID: "q4", Kind: "text", Text: t}, {ID: "q5", Kind: "scale", Text: t, Max: 2, Labels: []string{t, t}},
		{ID: "q6", Kind: "number", Text: t, Lowest: &low, Highest: &high, Required: true}, {ID: "q7", Kind: "short", Text: t, Correct: t}, {ID: "q8", Kind: "number", Text: t, Lowest: &low}},
		Mine: map[string]Answer{"q1": {Options: []int{1}}, "q3": {Number: 4}, "q4": {Text: t}, "q6": {Value: &low}, "q7": {Text: t}}, Done: true}
	secret = open
	secret.Mode, secret.KeyN, secret.KeyE, secret.Mine, secret.Released = "unlinkable", t, t, nil, true
	tally = Tally{Survey: open, Answered: 9, Counted: 5, Small: 5}
	for i, q := range open.Questions {
		r := Result{Question: q, Answered: 4, Counts: []int{3, 1}, Values: []float64{1, 2, 2}, Mean: 2, Median: 2, Right: 1, Held: i == 1}
		if q.Worded() {
			r.Texts = []Words{{ID: t, Text: t, Shown: true}, {ID: "w2", Text: t}}
		}
		tally.Results = append(tally.Results, r)
	}
	return open, secret, tally
}
