package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/relay"
)

// A family is a metric without its values.
func family(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("lodge_"+name, help, labels, nil)
}

// collector is what a function tells at each look.
type collector struct {
	all  []*prometheus.Desc
	tell func(say func(*prometheus.Desc, prometheus.ValueType, float64, ...string))
}

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.all {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	c.tell(func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	})
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// Relay has a relay's numbers told.
func (m *Metrics) Relay(stats func() relay.Stats) {
	var (
		peers    = family("relay_peers", "Streams that are open, one a connection.")
		rooms    = family("relay_rooms", "Relay topics with a connection.")
		messages = family("relay_messages_total", "Messages of streams: in, sent by clients; out, written to them.", "direction")
		bytes    = family("relay_bytes_total", "Bytes of streams: in, read from clients; out, written to them.", "direction")
		dropped  = family("relay_dropped_total", "Messages of streams that were not delivered, by why: oldest, from a full queue of video; overflow, which ended a connection; left, waiting when one ended; refused, sent without the right to. policy is that of the stream.", "policy", "reason")
		tickets  = family("relay_tickets_total", "Addresses of streams that were handed out.")
		refusals = family("relay_refusals_total", "Requests for streams that were refused, by why.", "reason")
		leases   = family("relay_leases", "Relay topics that this node holds, of several nodes.")
		lost     = family("relay_leases_lost_total", "Relay topics that another node took from this one.")
		fenced   = family("relay_fenced_total", "Connections that were ended because this node had lost their topic.")
	)
	m.registry.MustRegister(collector{
		[]*prometheus.Desc{peers, rooms, messages, bytes, dropped, tickets, refusals, leases, lost, fenced},
		func(say func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
			s := stats()
			say(peers, gauge, float64(s.Peers))
			say(rooms, gauge, float64(s.Rooms))
			say(messages, counter, float64(s.In), "in")
			say(messages, counter, float64(s.Out), "out")
			say(bytes, counter, float64(s.BytesIn), "in")
			say(bytes, counter, float64(s.BytesOut), "out")
			for policy, of := range s.DroppedBy {
				for reason, n := range map[string]uint64{"oldest": of.Oldest, "overflow": of.Overflow, "left": of.Left, "refused": of.Refused} {
					say(dropped, counter, float64(n), policy.String(), reason)
				}
			}
			say(tickets, counter, float64(s.Tickets))
			for word, n := range s.Refusals {
				say(refusals, counter, float64(n), word)
			}
			say(leases, gauge, float64(s.Leases))
			say(lost, counter, float64(s.LeasesLost))
			say(fenced, counter, float64(s.Fenced))
		},
	})
}

// Messages has the numbers of the message log and of its readers told, how many
// message connections are open, and how much they were sent.
func (m *Metrics) Messages(stats func() messaging.Stats, sockets func() int, delivered func() uint64) {
	var (
		open     = family("messages_sockets", "Message connections that are open: websockets and event streams.")
		sent     = family("messages_delivered_total", "Messages that were written to message connections, each as often as there were.")
		appended = family("messages_appended_total", "Messages that this node added to the log.")
		again    = family("messages_duplicates_total", "Messages that were in the log already when they came again.")
		conflict = family("messages_conflicts_total", "Appends that another node overtook, and that were repeated.")
		unsure   = family("messages_uncertain_total", "Appends whose outcome is not known.")
		gaps     = family("messages_gaps_total", "Gaps that readers were told of: entries that do not open.")
		rejected = family("messages_rejected_total", "Entries that did not open, each time they were read.")
		repairs  = family("messages_repairs_total", "Times that the repair poll found a topic behind: a hint was lost.")
		hints    = family("messages_hints_total", "Hints that a topic has grown.")
		reads    = family("messages_reads_total", "Reads on behalf of connections, by where they were answered from.", "from")
	)
	m.registry.MustRegister(collector{
		[]*prometheus.Desc{open, sent, appended, again, conflict, unsure, gaps, rejected, repairs, hints, reads},
		func(say func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
			s := stats()
			say(open, gauge, float64(sockets()))
			say(sent, counter, float64(delivered()))
			say(appended, counter, float64(s.Appended))
			say(again, counter, float64(s.Duplicates))
			say(conflict, counter, float64(s.Conflicts))
			say(unsure, counter, float64(s.Uncertain))
			say(gaps, counter, float64(s.Gaps))
			say(rejected, counter, float64(s.Rejected))
			say(repairs, counter, float64(s.Repairs))
			say(hints, counter, float64(s.Hints))
			say(reads, counter, float64(s.RingReads), "memory")
			say(reads, counter, float64(s.LogReads), "log")
		},
	})
}

// Audit has told how many refusals the audit trail has counted together, because
// there were more than it records one by one.
func (m *Metrics) Audit(omitted func() uint64) {
	together := family("audit_omitted_total", "Refusals that the audit trail has as a count, beyond what it records one by one.")
	m.registry.MustRegister(collector{
		[]*prometheus.Desc{together},
		func(say func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
			say(together, counter, float64(omitted()))
		},
	})
}

// depthLimit bounds how long a look at the outbox takes.
const depthLimit = 2 * time.Second

// Outbox has told how many effects of bookings wait to be carried out. A depth
// that cannot be read is left out.
func (m *Metrics) Outbox(depth func(context.Context) (int, error)) {
	waiting := family("booking_outbox_waiting", "Effects of bookings (ends of sessions, news) that wait to be carried out.")
	m.registry.MustRegister(collector{
		[]*prometheus.Desc{waiting},
		func(say func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
			ctx, cancel := context.WithTimeout(context.Background(), depthLimit)
			defer cancel()
			if n, err := depth(ctx); err == nil {
				say(waiting, gauge, float64(n))
			}
		},
	})
}

// Ready has told whether the node is ready: as /readyz says it.
func (m *Metrics) Ready(check func(context.Context) error) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lodge_ready", Help: "1 while the node is ready: everything runs and its stores answer.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), depthLimit)
		defer cancel()
		if check(ctx) != nil {
			return 0
		}
		return 1
	}))
}
