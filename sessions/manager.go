package sessions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Options tune a Manager; the zero value of each field means its default.
type Options struct {
	LeasePoll  time.Duration // within which every watched session is read again, begun at nine tenths of it; 5 s
	LeaseGrace time.Duration // how long a watched session outlives an unreachable store; 15 s
	TouchEvery time.Duration // how often activity is written at the most; 1 min
	Collect    time.Duration // how often ended sessions are removed; 10 min
	// Keep lets CheckRecent use what was read so long ago, unless a hint says that it
	// changed; 0: nothing is kept. At most MaxKeep.
	Keep     time.Duration
	LoginCap int          // login sessions a person has at once; one more ends the one unused the longest; 0 means any number
	Logger   *slog.Logger // slog.Default
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&o.LeasePoll, 5 * time.Second},
		{&o.LeaseGrace, 15 * time.Second},
		{&o.TouchEvery, time.Minute},
		{&o.Collect, 10 * time.Minute},
	} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	o.Keep = max(0, min(o.Keep, MaxKeep))
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// A Manager is the one place where sessions are made, checked, changed and
// ended. It is safe for concurrent use. Run must be running for watches to be
// told of anything.
type Manager struct {
	store   Store
	journal Journal
	signals Signals
	clock   lodge.Clock
	opts    Options

	live    liveTable
	news    newsDesk
	recent  recentTable
	dirty   dirtySet
	reading sync.Mutex // held while a batch of watched sessions is read and told

	owedMu sync.Mutex
	owed   map[key]debt // guarded by owedMu
}

// NewManager returns a Manager on a store, a journal of revocations and a way to
// hint at changes.
func NewManager(store Store, journal Journal, signals Signals, clock lodge.Clock, opts Options) *Manager {
	m := &Manager{
		store: store, journal: journal, signals: signals, clock: clock, opts: opts.withDefaults(),
		owed: map[key]debt{},
	}
	m.live.init()
	m.dirty.init()
	return m
}

// New says what a session to be created is for. See Session for the fields.
type New struct {
	Tenant     lodge.Tenant
	Kind       Kind
	Person     lodge.PersonID
	Name       string
	Groups     []string
	Bindings   []lodge.Binding
	Booking    string
	Experiment string
	Scopes     []string
	Issuer     string
	Subject    string
	IdPSession string
	Device     string // shortened to 200 bytes
	Address    string

	AuthenticatedAt time.Time // at the issuer; see Session

	NotBefore     time.Time
	ExpiresAt     time.Time // required: every session has an end
	MessagesUntil time.Time // zero means ExpiresAt
	IdleAfter     time.Duration
}

// maxDevice is how much of a user agent is kept, in bytes.
const maxDevice = 200

// session returns the session that n describes, created at a time.
func (n New) session(id ID, now time.Time) (Session, error) {
	switch {
	case n.Tenant == "":
		return Session{}, errors.New("sessions: a session needs a tenant")
	case prefixes[n.Kind] == "" && n.Kind != visit:
		return Session{}, fmt.Errorf("sessions: there is no kind %q", n.Kind)
	case n.Kind == Login && n.Person == "":
		return Session{}, errors.New("sessions: a login session needs a person")
	case (n.Kind == Booking || n.Kind == Experiment) && n.Booking == "" && n.Experiment == "":
		return Session{}, fmt.Errorf("sessions: a session of kind %q needs a booking", n.Kind)
	case n.Kind == Host && n.Experiment == "":
		return Session{}, errors.New("sessions: a host session needs an experiment")
	case !now.Before(n.ExpiresAt):
		return Session{}, lodge.E(lodge.CodeRefused, "The session would have ended before it began. Choose an end in the future.")
	}
	if len(n.Device) > maxDevice {
		n.Device = strings.ToValidUTF8(n.Device[:maxDevice], "")
	}
	if n.MessagesUntil.IsZero() {
		n.MessagesUntil = n.ExpiresAt
	}
	return Session{
		ID: id, Tenant: n.Tenant, Kind: n.Kind, Version: 1,
		Person: n.Person, Name: n.Name, Groups: n.Groups, Bindings: n.Bindings, Booking: n.Booking,
		Experiment: n.Experiment, Scopes: n.Scopes, Issuer: n.Issuer, Subject: n.Subject, IdPSession: n.IdPSession,
		Device: n.Device, Address: n.Address, AuthenticatedAt: micro(n.AuthenticatedAt),
		CreatedAt: micro(now), SeenAt: micro(now), NotBefore: micro(n.NotBefore), ExpiresAt: micro(n.ExpiresAt),
		MessagesUntil: micro(n.MessagesUntil), IdleAfter: n.IdleAfter.Truncate(time.Microsecond),
	}, nil
}

// micro brings a time to the resolution that is stored.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}

// Create makes a session and returns its code, which is shown once and kept
// nowhere. What the session depends on (a booking that is not cancelled, an
// account that is not disabled) may change while it is made: create, then read
// that again, and Revoke the session if it no longer holds.
func (m *Manager) Create(ctx context.Context, n New) (code string, s Session, err error) {
	code, id := newCode(n.Kind)
	if s, err = n.session(id, m.clock.Now()); err != nil {
		return "", Session{}, err
	}
	if err := m.create(ctx, s); err != nil {
		return "", Session{}, unavailable(err)
	}
	return code, s, nil
}

// Check returns the session of a code if it is active. Otherwise the error is a
// *lodge.Error: CodeUnauthenticated wrapping ErrUnknown (also for what is no code
// at all), ErrPending, ErrExpired or ErrRevoked, or CodeUnavailable when the
// store did not answer. With ErrPending, ErrExpired and ErrRevoked the session is
// returned too, so that its right to messages can be asked for.
func (m *Manager) Check(ctx context.Context, tenant lodge.Tenant, code string) (Session, error) {
	kind, secret, ok := parseCode(code)
	if !ok {
		return Session{}, refusal(ErrUnknown)
	}
	s, err := m.read(ctx, tenant, idOf(secret))
	if err != nil {
		return Session{}, err
	}
	if s.Kind != kind {
		return Session{}, refusal(ErrUnknown)
	}
	return s, refusalIn(s.State(m.clock.Now()))
}

// Get returns a session by its id, whatever its state. The error is a
// *lodge.Error: CodeNotFound wrapping ErrUnknown, or CodeUnavailable.
func (m *Manager) Get(ctx context.Context, tenant lodge.Tenant, id ID) (Session, error) {
	s, err := m.read(ctx, tenant, id)
	if errors.Is(err, ErrUnknown) {
		return Session{}, lodge.Wrap(lodge.CodeNotFound, "There is no such session.", ErrUnknown)
	}
	return s, err
}

// List returns the sessions that match a filter, ordered by ID. Browsers that
// are not signed in have none that is listed.
func (m *Manager) List(ctx context.Context, tenant lodge.Tenant, f Filter) ([]Session, error) {
	var out []Session
	want := f.Limit
	for {
		page, err := m.store.List(ctx, tenant, f)
		if err != nil {
			return nil, unavailable(err)
		}
		for _, s := range page {
			if s.Kind != visit {
				out = append(out, s)
			}
		}
		if want == 0 || len(page) < f.Limit || len(out) == want {
			return out, nil
		}
		f.After, f.Limit = page[len(page)-1].ID, want-len(out)
	}
}

// Ping returns nil when the session store answers.
func (m *Manager) Ping(ctx context.Context) error { return unavailable(m.store.Ping(ctx)) }

// read returns one session of the store.
func (m *Manager) read(ctx context.Context, tenant lodge.Tenant, id ID) (Session, error) {
	if !id.Valid() {
		return Session{}, refusal(ErrUnknown)
	}
	s, err := m.find(ctx, tenant, id)
	if err != nil {
		return Session{}, err
	}
	return *s, nil
}
