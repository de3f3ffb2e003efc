package relay

import (
	"context"
	"encoding/json"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/ws"
)

// StatsTopic is the relay topic on which the relay itself speaks: whoever may
// read it is sent the open connections of the tenant, as one JSON array, on
// joining, every few seconds and on {"cmd":"update"}. Nothing else that is sent
// to it goes anywhere.
const StatsTopic = "stats"

// statsReport describes one connection in the words of practable's stats topic,
// which are not those of its /status.
type statsReport struct {
	CanRead    bool      `json:"canRead"`
	CanWrite   bool      `json:"canWrite"`
	Connected  time.Time `json:"connected"`
	ExpiresAt  time.Time `json:"expiresAt"` // the year 9999 for never
	RemoteAddr string    `json:"remoteAddr"`
	Scopes     []string  `json:"scopes"`
	Topic      string    `json:"topic"`
	UserAgent  string    `json:"userAgent"`
}

// stats returns the report about a tenant: of all nodes that answer in time.
func (r *Relay) stats(ctx context.Context, tenant lodge.Tenant) *batch {
	peers, _ := r.AllPeers(ctx, tenant)
	list := make([]statsReport, len(peers))
	for i, p := range peers {
		list[i] = statsReport{
			CanRead: p.CanRead, CanWrite: p.CanWrite, Connected: p.ConnectedAt, ExpiresAt: p.ExpiresAt,
			RemoteAddr: p.RemoteAddr, Scopes: p.Scopes, Topic: p.Topic, UserAgent: p.UserAgent,
		}
	}
	data, err := json.Marshal(list)
	if err != nil {
		r.opts.Logger.Error("relay: stats", "err", err) // a time past the year 9999
		data = []byte("[]")
	}
	return batchOf(ws.OpText, data)
}

// report sends everybody who reads a tenant's statistics the same report.
func (r *Relay) report(ctx context.Context) {
	readers := map[lodge.Tenant][]*peer{}
	r.rooms.each(func(p *peer) {
		if p.room.key.topic == StatsTopic && p.opened.Load() && p.reads.Load() {
			readers[p.room.key.tenant] = append(readers[p.room.key.tenant], p)
		}
	})
	for tenant, of := range readers {
		b := r.stats(ctx, tenant)
		for _, p := range of {
			p.deliver(&ws.Writer{}, b)
		}
	}
}

// command does what a reader of the statistics asks for: to be sent them now.
func (p *peer) command(data []byte) {
	var c struct {
		Cmd string `json:"cmd"`
	}
	if json.Unmarshal(data, &c) != nil || c.Cmd != "update" || !p.reads.Load() {
		p.count.refused.Add(1)
		return
	}
	p.deliver(&ws.Writer{}, p.relay.stats(p.ctx, p.room.key.tenant))
}
