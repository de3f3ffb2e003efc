package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
)

// LogTopics is the directory of a tenant's topics.
type LogTopics struct {
	Topics []messaging.Listed `json:"topics"`
}

// LogEntry is an opened entry of a topic. What a person said or did is in it as
// it is stored: sealed under the person's key.
type LogEntry struct {
	Position string          `json:"position"`
	Sequence uint64          `json:"sequence"`
	ID       string          `json:"id,omitempty"`
	Gap      bool            `json:"gap,omitempty"`  // entries here were not genuine
	Body     json.RawMessage `json:"body,omitempty"` // JSON, or a JSON text of what is none
}

// LogPage is a run of entries, oldest first.
type LogPage struct {
	Entries []LogEntry `json:"entries"`
	More    bool       `json:"more"`
	Floor   uint64     `json:"floor,omitempty"` // the sequence number up to which entries were discarded
}

// LogRequest says what to read of a topic.
type LogRequest struct {
	Tenant lodge.Tenant `json:"tenant"`
	Topic  string       `json:"topic"`
	After  string       `json:"after"` // a position; empty: from the oldest
	Limit  int          `json:"limit"`
}

// maxLogPage bounds a LogPage.
const maxLogPage = 1000

// LogTopics lists the topics of a tenant, for an operator.
func (g *Gateway) LogTopics(ctx context.Context, tenant lodge.Tenant) (LogTopics, error) {
	topics, err := g.topics.Directory(ctx, tenant)
	if topics == nil {
		topics = []messaging.Listed{}
	}
	return LogTopics{topics}, err
}

// ReadLog opens entries of a topic for an operator, and records that.
func (g *Gateway) ReadLog(ctx context.Context, req LogRequest) (LogPage, error) {
	after, err := messaging.ParsePos(req.After)
	if err != nil {
		return LogPage{}, lodge.Wrap(lodge.CodeInvalid, "That is not a position; take one from what was read before.", err)
	}
	if req.Limit < 1 || req.Limit > maxLogPage {
		return LogPage{}, lodge.E(lodge.CodeInvalid, "The limit is a number from 1 to "+strconv.Itoa(maxLogPage)+".")
	}
	g.record(ctx, req.Tenant, actorIn(ctx), audit.LogRead, "topic:"+req.Topic, "")
	page, err := g.topics.Read(ctx, req.Tenant, req.Topic, after, req.Limit)
	if lost, ok := errors.AsType[*messaging.PosLostError](err); ok {
		if !after.IsZero() {
			return LogPage{}, lodge.Wrap(lodge.CodeInvalid, "That position is not in the topic any more; leave it out to begin with the oldest entry.", err)
		}
		page, err = g.topics.Read(ctx, req.Tenant, req.Topic, lost.Floor, req.Limit)
	}
	if err != nil {
		return LogPage{}, err
	}
	out := LogPage{Entries: []LogEntry{}, More: page.More, Floor: page.Floor.Seq}
	for _, item := range page.Items {
		e := LogEntry{Position: item.Pos.String(), Sequence: item.Pos.Seq, ID: item.ID, Gap: item.Gap}
		switch {
		case item.Gap:
		case json.Valid(item.Body):
			e.Body = item.Body
		default:
			text := strconv.Quote(string(item.Body))
			if utf8.Valid(item.Body) {
				text = string(item.Body)
			}
			if e.Body, err = json.Marshal(text); err != nil {
				return LogPage{}, err
			}
		}
		out.Entries = append(out.Entries, e)
	}
	return out, nil
}

// logRoutes are what lodge log asks of a running server.
func (g *Gateway) logRoutes(r chi.Router) {
	r.Get("/log/topics", g.api(func(w http.ResponseWriter, r *http.Request) error {
		view, err := g.LogTopics(r.Context(), lodge.Tenant(r.URL.Query().Get("tenant")))
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, view)
	}))
	r.Post("/log/show", g.api(func(w http.ResponseWriter, r *http.Request) error {
		var req LogRequest
		if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
			return err
		}
		view, err := g.ReadLog(r.Context(), req)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, view)
	}))
}
