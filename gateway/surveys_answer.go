package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/survey"
)

func (g *Gateway) postAnswer(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	var req AnswerRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	sub, err := g.subscriber(r.Context(), s)
	if err != nil {
		return err
	}
	view, err := g.answerSurvey(r.Context(), sub, chi.URLParam(r, "id"), req.Answers)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// answerSurvey takes a person's answer, in place of an earlier one, if the
// survey is put to them now.
func (g *Gateway) answerSurvey(ctx context.Context, sub messaging.Subscriber, id string, answers map[string]Answer) (SurveyView, error) {
	one, err := g.survey(ctx, sub.Tenant, id)
	if err != nil {
		return SurveyView{}, err
	}
	if asked, err := g.asks(ctx, sub.Tenant, sub.Topics, one); err != nil {
		return SurveyView{}, err
	} else if !asked {
		return SurveyView{}, errNotThere("survey")
	}
	given := make(map[string]survey.Answer, len(answers))
	for question, a := range answers {
		given[question] = survey.Answer(a)
	}
	if one, err = g.surveys.Answer(ctx, sub.Tenant, id, sub.Person, sub.Name, given); err != nil {
		return SurveyView{}, err
	}
	mine, err := g.surveys.Mine(ctx, sub.Tenant, id, sub.Person)
	if err != nil {
		return SurveyView{}, err
	}
	if err := g.notifyAnswered(sub.Tenant, one); err != nil {
		return SurveyView{}, err
	}
	return surveyView(one, mine, false), nil
}

// notifyAnswered tells who conducts a survey that its results may have moved;
// nobody else is told.
func (g *Gateway) notifyAnswered(tenant lodge.Tenant, one survey.Survey) error {
	return g.notify(tenant, "user:"+string(one.By), messaging.TypeSurvey, SurveyChanged{Survey: one.ID, Title: one.Title, Change: "answered"})
}

// postBallot signs what the caller's browser blinded.
func (g *Gateway) postBallot(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	var req BallotRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	blinded, err := base64.RawURLEncoding.Strict().DecodeString(req.Blinded)
	if err != nil {
		return lodge.Wrap(lodge.CodeInvalid, "What was blinded is not in base64url.", err)
	}
	one, err := g.survey(r.Context(), s.Tenant, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	member, err := g.membership(r.Context(), s)
	if err != nil {
		return err
	}
	if asked, err := g.asks(r.Context(), s.Tenant, member.topics, one); err != nil {
		return err
	} else if !asked {
		return errNotThere("survey")
	}
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return err
	}
	signature, err := g.surveys.Ballot(r.Context(), s.Tenant, one.ID, s.Person, blinded)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, BallotView{Signature: base64.RawURLEncoding.EncodeToString(signature)})
}

// ballotsPath is where ballots come in: an address of its own, so that a proxy can
// be told to log nothing of it, and one that names no survey.
const ballotsPath = "/api/v1/ballots"

// ballotLimit is how long a ballot may take to be stored.
const ballotLimit = 30 * time.Second

// castBallot takes answers of nobody in particular. It reads no cookie and no code;
// what is counted for the sender's address stays in memory; and no line of the log
// and of the audit trail is about it (observe, recordDenial).
func (g *Gateway) castBallot(w http.ResponseWriter, r *http.Request) error {
	ctx, tenant := r.Context(), tenantOf(r.Context())
	if err := g.ballots.allow(tenant, addressOf(ctx)); err != nil {
		return err
	}
	var req CastRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	serial, err := base64.RawURLEncoding.Strict().DecodeString(req.Serial)
	if err != nil {
		return lodge.Wrap(lodge.CodeInvalid, "The serial is not in base64url.", err)
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(req.Signature)
	if err != nil {
		return lodge.Wrap(lodge.CodeInvalid, "The signature is not in base64url.", err)
	}
	given := make(map[string]survey.Answer, len(req.Answers))
	for question, a := range req.Answers {
		given[question] = survey.Answer(a)
	}
	// Without what tells of the request, should anything below log its context; and
	// to the end, also when the sender has gone.
	ctx = context.WithValue(context.WithValue(context.WithoutCancel(ctx), keyAddress, ""), keyRequestID, "")
	ctx, cancel := context.WithTimeout(ctx, ballotLimit)
	defer cancel()
	if err := g.surveys.Cast(ctx, tenant, req.Survey, serial, signature, given); err != nil {
		return err
	}
	if one, err := g.survey(ctx, tenant, req.Survey); err == nil {
		_ = g.notifyAnswered(tenant, one) // a hint; whoever looks sees it
	}
	return writeJSON(w, http.StatusOK, struct{}{})
}
