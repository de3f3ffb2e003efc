package sessions

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// browserStore is the scs.CtxStore behind a Browser: scs's token hash is an ID,
// and its bytes are the deadline and the Data of a Session. It works for the
// visitor of the request, whose lock is held.
type browserStore struct{ m *Manager }

// The methods without a context are part of scs.Store and never called: scs
// prefers the others.
var errNoContext = errors.New("sessions: the browser's store needs a context")

func (browserStore) Find(string) ([]byte, bool, error)      { return nil, false, errNoContext }
func (browserStore) Commit(string, []byte, time.Time) error { return errNoContext }
func (browserStore) Delete(string) error                    { return errNoContext }

// FindCtx reads the visitor's session. One that is not active is not found: scs
// then begins a new one, and the old token is not used again.
func (b browserStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	v := visitorOf(ctx)
	s, err := b.m.read(ctx, v.tenant, ID(token))
	if errors.Is(err, ErrUnknown) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if s.Kind != Login && s.Kind != visit {
		return nil, false, nil
	}
	v.session = &s
	if s.State(b.m.clock.Now()) != Active {
		return nil, false, nil
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(s.ExpiresAt.UnixMicro())), s.Data...), true, nil
}

// CommitCtx stores the visitor's values. For a token that the store knows it
// changes nothing but them, and only if the session is as it was read: a commit
// that comes after the session was ended gets ErrRevoked, and one that comes
// after another commit ErrStale. For a new token it creates the session of a
// sign-in or a visit.
func (b browserStore) CommitCtx(ctx context.Context, token string, data []byte, deadline time.Time) error {
	v := visitorOf(ctx)
	if len(data) < valuesHeader {
		return errors.New("sessions: a browser's values are cut short")
	}
	data = data[valuesHeader:]
	if v.session != nil && v.session.ID == ID(token) {
		s := *v.session
		if err := refusalIn(s.State(b.m.clock.Now())); err != nil {
			return err
		}
		s.Data = data
		if err := b.m.store.Update(ctx, s); err != nil {
			return err
		}
		s.Version++
		v.session = &s
		return nil
	}
	s, err := b.fresh(v, ID(token), deadline)
	if err != nil {
		return err
	}
	s.Data = data
	if err := b.m.create(ctx, s); err != nil {
		return err
	}
	v.session, v.signing = &s, nil
	return nil
}

// fresh returns the session that a new token is for.
func (b browserStore) fresh(v *visitor, id ID, deadline time.Time) (Session, error) {
	if v.signing != nil {
		s := *v.signing
		s.ID, s.ExpiresAt, s.MessagesUntil = id, micro(deadline), micro(deadline)
		return s, nil
	}
	now := b.m.clock.Now()
	return New{Tenant: v.tenant, Kind: visit, ExpiresAt: now.Add(visitLife)}.session(id, now)
}

// DeleteCtx revokes the visitor's session: a tombstone, where scs expects
// nothing to be left.
func (b browserStore) DeleteCtx(ctx context.Context, token string) error {
	v := visitorOf(ctx)
	if v.session == nil || v.session.ID != ID(token) || !v.session.RevokedAt.IsZero() {
		return nil // never stored, or over
	}
	if v.session.Kind == visit {
		// Nothing is lost should a visit come back: no journal, no wait for it.
		now := micro(b.m.clock.Now())
		_, err := b.m.change(ctx, *v.session, Revocation{At: now, MessagesUntil: now, Reason: "signed in"}.Apply)
		return err
	}
	return b.m.end(ctx, []Session{*v.session}, "signed out")
}
