package bridge

import (
	"encoding/json"
	"html/template"
	"net/http"
	"time"
)

// A Status is what is known of one stream.
type Status struct {
	Topic     string    `json:"topic"`
	Connected time.Time `json:"connected,omitzero"` // to the relay, since then
	Failure   string    `json:"failure,omitempty"`  // why it is not
	Programs  int       `json:"programs"`           // local programs with a websocket
	Source    bool      `json:"source"`             // a transport stream is being taken
	Up        Traffic   `json:"up"`                 // to the relay
	Down      Traffic   `json:"down"`               // from it
	Dropped   Dropped   `json:"dropped"`
}

// Traffic is a number of messages, and their bytes.
type Traffic struct {
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
}

// Dropped are the messages that were not carried, by reason.
type Dropped struct {
	Unreached uint64 `json:"unreached"` // the relay could not be reached
	Slow      uint64 `json:"slow"`      // the relay, or the way to it, was too slow
	Unheard   uint64 `json:"unheard"`   // from the relay: a local program was not there, or too slow
}

func (c *counter) traffic() Traffic { return Traffic{c.messages.Load(), c.bytes.Load()} }

// Status returns what is known of each stream, in the order of the options.
func (b *Bridge) Status() []Status {
	all := make([]Status, len(b.streams))
	for i, s := range b.streams {
		unreached, slow := s.out.drops()
		s.mu.Lock()
		all[i] = Status{
			Topic: s.Topic, Connected: s.since, Failure: s.failure, Programs: len(s.listeners), Source: s.source != nil,
			Up: s.up.traffic(), Down: s.down.traffic(), Dropped: Dropped{unreached, slow, s.unheard.Load()},
		}
		s.mu.Unlock()
	}
	return all
}

// healthy reports whether every stream is connected.
func healthy(all []Status) bool {
	for _, s := range all {
		if s.Connected.IsZero() {
			return false
		}
	}
	return true
}

// status answers with JSON; 503 while a stream is not connected, for watchers
// that look at nothing else.
func (b *Bridge) status(w http.ResponseWriter, _ *http.Request) {
	all := b.Status()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !healthy(all) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(all) // the client has gone
}

var statusPage = template.Must(template.New("status").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5"><meta name="viewport" content="width=device-width">
<title>Streams of this host</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:left;border-bottom:1px solid}</style>
<h1>Streams of this host</h1>
<table><thead><tr><th>Topic<th>Relay<th>Local<th>Sent<th>Received<th>Dropped</thead><tbody>{{range .}}
<tr><th scope="row">{{.Topic}}<td>{{if .Connected.IsZero}}not connected: {{.Failure}}{{else}}connected since {{.Connected.UTC.Format "2006-01-02 15:04:05"}} UTC{{end}}
<td>{{.Programs}} by websocket{{if .Source}}, MPEG-TS coming in{{end}}<td>{{.Up.Messages}}<td>{{.Down.Messages}}
<td>{{.Dropped.Unreached}} unreached, {{.Dropped.Slow}} too slow, {{.Dropped.Unheard}} unheard{{end}}</tbody></table>
<p>This page is made anew every five seconds. <a href="/status">The same as JSON</a>.</p>
</html>
`))

func (b *Bridge) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("Cache-Control", "no-store")
	_ = statusPage.Execute(w, b.Status()) // the client has gone
}
