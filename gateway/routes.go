package gateway

import (
	_ "embed" // the OpenAPI document
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/survey"
)

// OpenAPI is the OpenAPI 3.1 document of this surface, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

// A handler answers a request or returns why it cannot; errors.go does the rest.
type handler func(w http.ResponseWriter, r *http.Request) error

// Handler serves every public route of the gateway.
func (g *Gateway) Handler() http.Handler { return g.asVerify(g.forwardAuth(g.routes())) }

// routes lists them. This list is the whole of it: what is not here is not
// served.
func (g *Gateway) routes() chi.Router {
	r := chi.NewRouter()
	r.Use(g.protect, g.identify, g.observe, middleware.GetHead)
	r.NotFound(g.notFound)
	r.MethodNotAllowed(g.methodNotAllowed)

	r.Get("/healthz", g.api(g.healthz))
	r.Handle("/static/*", noDocument(g.pages.Static()))
	r.Handle("/sdk/*", g.inChosenLanguage(g.pages.SDK()))
	r.Get("/sdk/conformance.html", g.conformance)
	r.Get("/api/openapi.yaml", document("application/yaml", OpenAPI))
	r.Get("/api/asyncapi.yaml", document("application/yaml", messaging.AsyncAPI))
	r.Post("/backchannel-logout/{idp}", g.api(g.backchannelLogout)) // from issuers, with a signed token

	r.Get("/api/survey.schema.json", document("application/schema+json", survey.Schema))
	r.Post(ballotsPath, g.api(g.castBallot)) // from nobody in particular: no cookie, no code

	r.Post("/oauth2/introspect", g.oauth(g.introspect)) // from services, with a code
	r.Post("/oauth2/revoke", g.oauth(g.revoke))

	// With a code or a ticket: cookies play no part, pages of listed origins may call.
	r.Group(func(r chi.Router) {
		r.Use(g.cors)
		r.Handle("/session/*", http.HandlerFunc(g.relay.Session))
		r.Get("/status", g.relay.Status)
		r.Handle("/bids/deny", http.HandlerFunc(g.relay.Deny))
		r.Handle("/bids/allow", http.HandlerFunc(g.relay.Allow))
		r.Get("/api/v1/experiment", g.api(g.remaining))
		r.Post("/api/v1/experiment/extend", g.api(g.extendExperiment))
		r.Get("/api/v1/experiment/control", g.api(g.experimentControl))
		r.Post("/api/v1/experiment/control", g.api(g.steerExperiment))
		r.Post("/api/v1/messages/ticket", g.api(g.messageTicket))
		for _, path := range []string{"/status", "/api/v1/experiment", "/api/v1/experiment/extend", "/api/v1/experiment/control", "/api/v1/messages/ticket"} {
			r.Options(path, g.api(noPreflight))
		}
	})

	// With a code or with cookies: whoever sends a code is treated as above, and
	// everybody else as below.
	r.Group(func(r chi.Router) {
		r.Use(g.codeOrCookie)
		r.Post("/api/v1/messages", g.api(g.sendMessage))
		r.Get("/api/v1/messages/scheduled", g.api(g.listScheduled))
		r.Put("/api/v1/messages/scheduled/{id}", g.api(g.changeScheduled))
		r.Delete("/api/v1/messages/scheduled/{id}", g.api(g.cancelScheduled))
		r.Get("/api/v1/messages/waiting", g.api(g.listWaiting))
		r.Post("/api/v1/messages/{id}/acknowledge", g.api(g.acknowledge))
		r.Get("/api/v1/messages/{id}/receipts", g.api(g.receipts))
		for _, path := range []string{
			"/api/v1/messages", "/api/v1/messages/scheduled", "/api/v1/messages/scheduled/{id}",
			"/api/v1/messages/waiting", "/api/v1/messages/{id}/acknowledge", "/api/v1/messages/{id}/receipts",
		} {
			r.Options(path, g.api(noPreflight))
		}
	})

	// With cookies: unsafe methods from other sites are refused.
	r.Group(func(r chi.Router) {
		r.Use(g.sameSite)

		r.Get(verifyPath, g.api(g.verify))
		r.Get("/api/v1/me", g.api(g.me))
		r.Get("/api/v1/me/sessions", g.api(g.mySessions))
		r.Delete("/api/v1/me/sessions/{id}", g.api(g.endMySession))
		r.Post("/api/v1/me/sessions/revoke-others", g.api(g.revokeOthers))
		r.Post("/api/v1/me/sessions/revoke-all", g.api(g.revokeAllMine))

		r.Get("/api/v1/me/identities", g.api(g.myIdentities))
		r.With(g.browser.Middleware).Post("/api/v1/me/identities", g.api(g.startLink))
		r.Delete("/api/v1/me/identities/{id}", g.api(g.deleteIdentity))
		r.Post("/api/v1/me/claims", g.api(g.claim))
		r.Get("/api/v1/me/export", g.api(g.myExport))
		r.Get("/api/v1/me/erase", g.api(g.getMyErasePreview))
		r.Post("/api/v1/me/erase", g.api(g.postMyErase))

		r.Post("/api/v1/bookings/lookup", g.api(g.lookup))
		r.Post("/api/v1/bookings/lookup/link", g.api(g.requestLink))
		r.Get("/api/v1/me/mail", g.api(g.getMail))
		r.Put("/api/v1/me/mail", g.api(g.putMail))
		r.Get("/api/v1/bookings", g.api(g.listBookings))
		r.Post("/api/v1/bookings", g.api(g.book))
		r.Get("/api/v1/bookings/{id}.ics", g.api(g.bookingICS))
		r.Get("/api/v1/bookings/{id}", g.api(g.getBooking))
		r.Delete("/api/v1/bookings/{id}", g.api(g.cancelBooking))
		r.Post("/api/v1/bookings/{id}/extend", g.api(g.extendBooking))
		r.Post("/api/v1/bookings/{id}/reference", g.api(g.rotateReference))
		r.Post("/api/v1/bookings/{id}/activity", g.api(g.startActivity))
		r.Post("/api/v1/bookings/join", g.api(g.postPartnerJoin))
		r.Post("/api/v1/bookings/{id}/share", g.api(g.postShare))
		r.Delete("/api/v1/bookings/{id}/share", g.api(g.deleteShare))
		r.Post("/api/v1/bookings/{id}/partners", g.api(g.postPartner))
		r.Delete("/api/v1/bookings/{id}/partners/{person}", g.api(g.deletePartner))
		r.Get("/api/v1/bookings/{id}/control", g.api(g.getControl))
		r.Post("/api/v1/bookings/{id}/control", g.api(g.postControl))
		r.With(compressed).Get("/api/v1/availability", g.api(g.availability))
		r.Get("/api/v1/waits", g.api(g.listWaits))
		r.Post("/api/v1/waits", g.api(g.joinWaits))
		r.Delete("/api/v1/waits/{id}", g.api(g.leaveWait))
		r.Post("/api/v1/groups/{id}/bookings", g.api(g.bookParty))

		r.Get("/api/v1/messages", g.api(g.history))
		r.With(compressed).Get("/api/v1/messages/audiences", g.api(g.findAudiences))
		r.Post("/api/v1/messages/{id}/replies", g.api(g.postReply))
		r.With(compressed).Get("/api/v1/presence", g.api(g.getPresence))
		r.Get("/api/v1/messages/ws", g.api(g.messageSocket))
		r.Get("/api/v1/messages/events", g.api(g.messageEvents))

		r.Get("/api/v1/surveys", g.api(g.listSurveys))
		r.Post("/api/v1/surveys", g.api(g.openSurvey))
		r.Get("/api/v1/surveys/drafts", g.api(g.listDrafts))
		r.Post("/api/v1/surveys/drafts", g.api(g.postDraft))
		r.Get("/api/v1/surveys/drafts/{id}", g.api(g.getDraft))
		r.Put("/api/v1/surveys/drafts/{id}", g.api(g.putDraft))
		r.Delete("/api/v1/surveys/drafts/{id}", g.api(g.deleteDraft))
		r.Post("/api/v1/surveys/drafts/{id}/open", g.api(g.postOpenDraft))
		r.Post("/api/v1/surveys/import", g.api(g.importSurvey))
		r.Get("/api/v1/surveys/{id}/document", g.api(g.exportSurvey))
		r.Get("/api/v1/surveys/{id}.csv", g.api(g.surveyCSV))
		r.Get("/api/v1/surveys/{id}", g.api(g.getSurvey))
		r.Post("/api/v1/surveys/{id}/answers", g.api(g.postAnswer))
		r.Post("/api/v1/surveys/{id}/close", g.api(g.closeSurvey))
		r.Post("/api/v1/surveys/{id}/ballot", g.api(g.postBallot))
		r.Post("/api/v1/surveys/{id}/release", g.api(g.releaseSurvey))
		r.Put("/api/v1/surveys/{id}/words", g.api(g.putWords))
		r.With(compressed).Get("/api/v1/surveys/{id}/results", g.api(g.surveyResults))
		r.Get("/api/v1/surveys/{id}/answers", g.api(g.surveyAnswers))

		r.Get("/api/v1/registers", g.api(g.listRegisters))
		r.Post("/api/v1/registers", g.api(g.openRegister))
		r.Get("/api/v1/registers/planned", g.api(g.listPlanned))
		r.Post("/api/v1/registers/planned", g.api(g.planRegisters))
		r.Delete("/api/v1/registers/planned/{id}", g.api(g.unplanRegister))
		r.With(compressed).Get("/api/v1/registers/summary", g.api(g.registerSummary))
		r.Get("/api/v1/registers/summary.csv", g.api(g.summaryCSV))
		r.Get("/api/v1/registers/{id}.csv", g.api(g.registerCSV))
		r.Get("/api/v1/registers/{id}/screen", g.api(g.getScreen))
		r.Post("/api/v1/registers/{id}/apology", g.api(g.postApology))
		r.Put("/api/v1/registers/{id}/marks/{person}", g.api(g.putMark))
		r.Put("/api/v1/registers/{id}/marks/{person}/apology", g.api(g.putApology))
		r.Post("/api/v1/registers/{id}/import", g.api(g.importRegister))
		r.With(compressed).Get("/api/v1/registers/{id}", g.api(g.getRegister))
		r.Post("/api/v1/registers/{id}/marks", g.api(g.postMark))
		r.Post("/api/v1/registers/{id}/close", g.api(g.closeRegister))

		r.Get("/api/v1/handins", g.api(g.listHandIns))
		r.Post("/api/v1/handins", g.api(g.openHandIn))
		r.Get("/api/v1/handins/{id}.csv", g.api(g.handInCSV))
		r.Get("/api/v1/handins/{id}.zip", g.api(g.handInZip))
		r.Get("/api/v1/handins/{id}", g.api(g.getHandIn))
		r.Get("/api/v1/handins/{id}/work", g.api(g.listWork))
		r.Post("/api/v1/handins/{id}/work", g.api(g.postWork))
		r.Get("/api/v1/handins/{id}/work/{person}/files/{file}", g.api(g.getWorkFile))
		r.Put("/api/v1/handins/{id}/grades/{person}", g.api(g.putGrade))
		r.Post("/api/v1/handins/{id}/release", g.api(g.releaseGrades))
		r.Post("/api/v1/handins/{id}/close", g.api(g.closeHandIn))

		r.With(compressed).Get("/api/v1/admin/experiments", g.api(g.listExperiments))
		r.Put("/api/v1/admin/experiments/{id}/state", g.api(g.putExperimentState))
		r.Post("/api/v1/admin/experiments/{id}/test", g.api(g.postTest))
		r.Delete("/api/v1/admin/experiments/{id}/test", g.api(g.deleteTest))
		r.With(compressed).Get("/api/v1/admin/sessions", g.api(g.listSessions))
		r.Delete("/api/v1/admin/sessions/{id}", g.api(g.endSession))
		r.Post("/api/v1/admin/sessions/revoke", g.api(g.revokeSessions))
		r.With(compressed).Get("/api/v1/admin/persons", g.api(g.listPersons))
		r.Put("/api/v1/admin/persons/{id}/disabled", g.api(g.putDisabled))
		r.Get("/api/v1/admin/persons/{id}/merge", g.api(g.getMergePreview))
		r.Post("/api/v1/admin/persons/{id}/merge", g.api(g.postMerge))
		r.Post("/api/v1/admin/persons/{id}/unmerge", g.api(g.postUnmerge))
		r.Get("/api/v1/admin/persons/{id}/erase", g.api(g.getErasePreview))
		r.Post("/api/v1/admin/persons/{id}/erase", g.api(g.postErase))
		r.Get("/api/v1/admin/codes", g.api(g.listCodes))
		r.Delete("/api/v1/admin/codes/{id}", g.api(g.revokeCode))
		r.With(compressed).Get("/api/v1/admin/audit", g.api(g.listAudit))
		r.Get("/api/v1/admin/persons/{id}/explain", g.api(g.explainPerson))
		r.Post("/api/v1/admin/codes", g.api(g.createCode))

		r.Post("/api/v1/admin/catalogue/plan", g.api(g.postPlan))
		r.Post("/api/v1/admin/catalogue/apply", g.api(g.postApply))
		r.With(compressed).Get("/api/v1/admin/catalogue/export", g.api(g.getExport))
		r.With(g.browser.Middleware).Post("/api/v1/groups/join", g.api(g.postJoin))
		r.Post("/api/v1/groups/{id}/leave", g.api(g.leave))
		r.Get("/api/v1/admin/groups/{id}/codes", g.api(g.listJoinCodes))
		r.Post("/api/v1/admin/groups/{id}/codes", g.api(g.postJoinCode))
		r.Post("/api/v1/admin/groups/{id}/codes/{code}/rotate", g.api(g.rotateJoinCode))
		r.Delete("/api/v1/admin/groups/{id}/codes/{code}", g.api(g.deleteJoinCode))
		r.Get("/api/v1/admin/groups/{id}/codes/{code}/qr.svg", g.api(g.joinQR))
		r.Get("/api/v1/admin/groups/{id}/members", g.api(g.listMembers))
		r.Delete("/api/v1/admin/groups/{id}/members/{person}", g.api(g.removeMember))
		r.With(compressed).Get("/api/v1/admin/roles", g.api(g.listRoles))
		r.Post("/api/v1/admin/roles", g.api(g.postRole))
		r.Delete("/api/v1/admin/roles/{name}", g.api(g.deleteRole))

		g.pageRoutes(r)
	})
	return r
}

// pageRoutes are the pages people see; each works as plain links and forms.
func (g *Gateway) pageRoutes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(g.browser.Middleware)
		r.Get("/login/{idp}", g.page(g.startLogin))
		r.Get("/callback/{idp}", g.page(g.finishLogin))
		r.Post("/logout", g.page(g.logout))
		r.Post("/identities/link", g.page(g.linkForm))
		r.Get(leavingPath, g.page(g.signedOut))
	})
	r.Get("/", g.page(g.homePage))
	r.With(compressed).Get("/login", g.page(g.loginPage))
	r.Post("/continue", g.page(g.continueForm))
	r.Get(signedInPath, g.page(g.signedInPage))
	r.Post("/language", g.page(g.languageForm))
	r.With(compressed).Get("/lookup", g.page(g.lookupPage))
	r.Post("/lookup", g.page(g.lookupForm))
	r.Post("/lookup/mail", g.page(g.askLinkForm))
	r.Get(linkPath, g.page(g.linkPage))
	r.Post(linkPath, g.page(g.openLinkForm))
	r.Get(mailPath, g.page(g.mailPage))
	r.Post(mailPath, g.page(g.mailForm))
	r.With(compressed).Get("/book", g.page(g.bookPage))
	r.Post("/book", g.page(g.bookForm))
	r.With(compressed).Get("/waits", g.page(g.waitsPage))
	r.Post("/waits", g.page(g.waitForm))
	r.Post("/waits/{id}/leave", g.page(g.leaveForm))
	r.Get("/bookings/{id}", g.page(g.bookingPage))
	r.Post("/bookings/{id}/extend", g.page(g.extendForm))
	r.Post("/bookings/{id}/reference", g.page(g.rotateForm))
	r.Post("/bookings/{id}/cancel", g.page(g.cancelForm))
	r.Get("/launch/{id}", g.page(g.launchPage))
	r.Get("/bookings/{id}/partners", g.page(g.partnersPage))
	r.Post("/bookings/{id}/partners", g.page(g.partnersForm))
	r.Post("/bookings/{id}/partners/{person}/remove", g.page(g.removePartnerForm))
	r.Post("/bookings/{id}/control", g.page(g.controlForm))
	r.Get(sharePath, g.page(g.partnerJoinPage))
	r.Post(sharePath, g.page(g.partnerJoinForm))
	r.Get("/messages", g.page(g.messagesPage))
	r.Post("/messages/{id}/acknowledge", g.page(g.acknowledgeForm))
	r.Post("/messages/{id}/replies", g.page(g.replyForm))
	r.Get("/surveys/{id}", g.page(g.surveyPage))
	r.Post("/surveys/{id}", g.page(g.answerForm))
	r.Get("/handins/{id}", g.page(g.handInPage))
	r.Post("/handins/{id}", g.page(g.handInForm))
	r.With(compressed).Get("/attendance", g.page(g.attendancePage))
	r.Post("/attendance/code", g.page(g.codeForm))
	r.Get(herePath+"{id}", g.page(g.herePage))
	r.Post("/registers/{id}/confirm", g.page(g.confirmForm))
	r.Post("/registers/{id}/apology", g.page(g.apologyForm))
	r.With(compressed).Get("/sessions", g.page(g.sessionsPage))
	r.Post("/sessions/others/end", g.page(g.endOthersForm))
	r.Post("/sessions/{id}/end", g.page(g.endSessionForm))

	r.With(compressed).Get("/privacy", g.page(g.privacyPage))
	r.Post("/privacy/erase", g.page(g.eraseForm))
	r.With(compressed).Get("/identities", g.page(g.identitiesPage))
	r.Post("/identities/{id}/unlink", g.page(g.unlinkForm))
	r.Post("/claims", g.page(g.claimForm))

	r.With(compressed).Get("/teach", g.page(g.teachPage))
	r.Post("/teach/notices", g.page(g.noticeForm))
	r.With(compressed).Get("/teach/notices/{id}", g.page(g.scheduledPage))
	r.Post("/teach/notices/{id}", g.page(g.rescheduleForm))
	r.Post("/teach/notices/{id}/cancel", g.page(g.unscheduleForm))
	r.With(compressed).Get("/teach/surveys", g.page(g.surveysPage))
	r.Post("/teach/surveys", g.page(g.beginSurveyForm))
	r.Post("/teach/surveys/import", g.page(g.importSurveyForm))
	r.With(compressed).Get("/teach/surveys/drafts/{id}", g.page(g.draftPage))
	r.Post("/teach/surveys/drafts/{id}", g.page(g.draftForm))
	r.With(compressed).Get("/teach/surveys/{id}", g.page(g.resultsPage))
	r.Post("/teach/surveys/{id}", g.page(g.surveyStepForm))
	r.With(compressed).Get("/teach/surveys/{id}/wall", g.page(g.wallPage))
	r.With(compressed).Get("/teach/registers", g.page(g.registersPage))
	r.Post("/teach/registers", g.page(g.registerForm))
	r.With(compressed).Get("/teach/registers/{id}", g.page(g.registerPage))
	r.Get("/teach/registers/{id}/screen", g.page(g.screenPage))
	r.Post("/teach/registers/{id}/close", g.page(g.closeRegisterForm))
	r.Post("/teach/registers/{id}/unplan", g.page(g.unplanForm))
	r.Post("/teach/registers/{id}/marks", g.page(g.markForm))
	r.Post("/teach/registers/{id}/import", g.page(g.importRegisterForm))
	r.With(compressed).Get("/teach/book", g.page(g.partyPage))
	r.Post("/teach/book", g.page(g.partyForm))
	r.Post("/teach/bookings/{id}/cancel", g.page(g.teachCancelForm))

	r.With(compressed).Get("/teach/handins", g.page(g.teachHandInsPage))
	r.Post("/teach/handins", g.page(g.openHandInForm))
	r.With(compressed).Get("/teach/handins/{id}", g.page(g.teachHandInPage))
	r.Post("/teach/handins/{id}/grades/{person}", g.page(g.gradeForm))
	r.Post("/teach/handins/{id}/release", g.page(g.releaseForm))
	r.Post("/teach/handins/{id}/close", g.page(g.closeHandInForm))

	r.With(compressed).Get("/rigs", g.page(g.rigsPage))
	r.Post("/rigs/{id}", g.page(g.rigForm))
	r.Post("/rigs/{id}/test", g.page(g.testForm))
	r.Post("/rigs/{id}/test/end", g.page(g.endTestForm))
	r.With(compressed).Get("/admin", g.page(g.adminPage))
	r.With(compressed).Get("/admin/persons", g.page(g.personsPage))
	r.With(compressed).Get("/admin/persons/{id}/merge", g.page(g.mergePage))
	r.Post("/admin/persons/{id}/merge", g.page(g.mergeForm))
	r.Post("/admin/persons/{id}/unmerge", g.page(g.unmergeForm))
	r.With(compressed).Get("/admin/end", g.page(g.adminEndPage))
	r.Post("/admin/end", g.page(g.adminEndForm))
	r.With(compressed).Get("/admin/audit", g.page(g.auditPage))
	r.With(compressed).Get("/admin/catalogue", g.page(g.cataloguePage))
	r.Post("/admin/catalogue/plan", g.page(g.planForm))
	r.Post("/admin/catalogue/apply", g.page(g.applyForm))
	r.With(compressed).Get("/admin/roles", g.page(g.rolesPage))
	r.Post("/admin/roles", g.page(g.roleForm))
	r.Post("/admin/roles/{name}/remove", g.page(g.unbindForm))
	r.Get("/groups/{id}", g.page(g.groupPage))
	r.Post("/groups/{id}/leave", g.page(g.leaveGroupForm))
	r.Post("/groups/{id}/codes", g.page(g.joinCodeForm))
	r.Post("/groups/{id}/codes/{code}/rotate", g.page(g.rotateJoinForm))
	r.Post("/groups/{id}/codes/{code}/revoke", g.page(g.revokeJoinForm))
	r.Post("/groups/{id}/members/{person}/remove", g.page(g.removeMemberForm))
	r.Get("/join", g.page(g.joinPage))
	r.Get("/join/{code}", g.page(g.joinPage))
	r.With(g.browser.Middleware).Post("/join", g.page(g.joinForm))
	r.With(compressed).Get("/admin/providers", g.page(g.providersPage))
	r.With(compressed).Get("/admin/system", g.page(g.systemPage))
}

// api answers errors as problem documents.
func (g *Gateway) api(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			g.logFailure(r, err)
			g.problem(w, r, explain(err))
		}
	}
}

// page answers errors as pages; somebody who is not signed in is sent to do so
// and comes back.
func (g *Gateway) page(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := h(w, r); err != nil {
			g.logFailure(r, err)
			g.problemPage(w, r, explain(err))
		}
	}
}

// logFailure logs what is our fault or a dependency's; what a caller did wrong
// is the caller's to know, and, where it was refused for want of a right, for the
// audit trail.
func (g *Gateway) logFailure(r *http.Request, err error) {
	if r.URL.Path == ballotsPath {
		if lodge.CodeOf(err) == lodge.CodeInternal {
			g.log.Error("a ballot could not be taken", "err", err) // and nothing of whose, or when it was asked for
		}
		return
	}
	g.recordDenial(r, err)
	if code := lodge.CodeOf(err); code == lodge.CodeInternal || code == lodge.CodeUnavailable {
		if r.Context().Err() == nil {
			id, _ := r.Context().Value(keyRequestID).(string)
			g.log.ErrorContext(r.Context(), "request failed", "id", id, "path", shownPath(r), "err", err)
		}
	}
}

// sameSite refuses unsafe requests that a page of another origin makes with our
// cookies.
func (g *Gateway) sameSite(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(g.api(func(http.ResponseWriter, *http.Request) error {
		return lodge.Wrap(lodge.CodeForbidden, "A page of another site may not do this in your name.", errors.New("cross-origin request"))
	}))
	return protection.Handler(next)
}

// codeOrCookie treats a request that carries a code as the routes do that take
// nothing else, and one that does not as those with cookies.
func (g *Gateway) codeOrCookie(next http.Handler) http.Handler {
	code, cookie := g.cors(next), g.sameSite(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions || r.Header.Get("Authorization") != "" {
			code.ServeHTTP(w, r)
			return
		}
		cookie.ServeHTTP(w, r)
	})
}

// noPreflight answers a preflight from an origin that is not listed.
func noPreflight(http.ResponseWriter, *http.Request) error {
	return lodge.E(lodge.CodeForbidden, "Pages of this origin may not call this address.")
}

// forMachines reports whether what is asked for is no page: its errors are
// problem documents.
func forMachines(r *http.Request) bool {
	for _, prefix := range []string{"/api/", "/auth/", "/session/", "/bids/", "/status", "/healthz", "/static/", "/sdk/", "/oauth2/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return true
		}
	}
	return false
}

func (g *Gateway) notFound(w http.ResponseWriter, r *http.Request) {
	if forMachines(r) {
		g.problem(w, r, explain(lodge.E(lodge.CodeNotFound, "Nothing is at this address; /api/openapi.yaml lists all there is.")))
		return
	}
	g.page(func(http.ResponseWriter, *http.Request) error { return errNotThere("page") })(w, r)
}

// methodNotAllowed says which methods an address takes (RFC 9110 section
// 15.5.6).
func (g *Gateway) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if r.URL.RawPath != "" {
		path = r.URL.RawPath
	}
	routes := chi.RouteContext(r.Context()).Routes
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		if !routes.Match(chi.NewRouteContext(), method, path) {
			continue
		}
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	f := failure{
		status: http.StatusMethodNotAllowed, code: lodge.CodeInvalid,
		detail: "This address takes " + strings.Join(allowed, ", ") + " and not the method that was used.",
	}
	if forMachines(r) {
		g.problem(w, r, f)
		return
	}
	g.problemPage(w, r, f)
}
