// Package metrics is what a node tells Prometheus about itself: a registry of its
// own, counters that the gateway and the wrappers here feed, and collectors that
// read the counters which the leaves keep anyway.
//
//	metrics.go   the registry, requests, and what is sent
//	sessions.go  wrappers around the session store and the journal
//	leaves.go    what relay, messages and the rest have counted
//
// No label names a person, a code, a tenant, a topic or an address: each has a
// small set of values that is fixed when the program is built, or one a route.
package metrics

import (
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are those of one node. Its methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	publish  *prometheus.HistogramVec
	canary   prometheus.Histogram
	lost     prometheus.Counter

	storeTime   *prometheus.HistogramVec
	storeErrors *prometheus.CounterVec
	revocations prometheus.Counter
}

// Buckets, in seconds: of what a person waits for, of what a store takes, and of
// what a message takes on its way.
var (
	requestBuckets = []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 10}
	storeBuckets   = []float64{.0001, .0005, .001, .0025, .01, .05, .25, 1, 5}
	delayBuckets   = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
)

// New returns the metrics of a node.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lodge_http_request_duration_seconds", Help: "Time to answer a request, by route and class of status; connections that were upgraded are not in it.",
			Buckets: requestBuckets,
		}, []string{"route", "class"}),
		publish: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lodge_messages_publish_duration_seconds", Help: "Time until a message was durable, or failed.", Buckets: storeBuckets,
		}, []string{"outcome"}),
		canary: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lodge_relay_canary_delay_seconds", Help: "Time that a message of the relay's own stream took from one of its connections to the other.", Buckets: delayBuckets,
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lodge_relay_canary_lost_total", Help: "Messages of the relay's own stream that did not come back in time, or could not be sent.",
		}),
		storeTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lodge_sessions_store_duration_seconds", Help: "Time of one call of the session store.", Buckets: storeBuckets,
		}, []string{"operation"}),
		storeErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lodge_sessions_store_errors_total", Help: "Calls of the session store, or of the journal of revocations, that failed.",
		}, []string{"operation"}),
		revocations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lodge_sessions_revocations_total", Help: "Sessions that were revoked through this node.",
		}),
	}
	for _, outcome := range []string{outcomeDone, outcomeFailed} {
		m.publish.WithLabelValues(outcome)
	}
	m.registry.MustRegister(
		m.requests, m.publish, m.canary, m.lost, m.storeTime, m.storeErrors, m.revocations, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves them in the formats of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Request notes a request that was answered. The route is a pattern of the
// router's, and empty for what it does not have.
func (m *Metrics) Request(route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, class(status)).Observe(took.Seconds())
}

func class(status int) string {
	switch {
	case status >= 500:
		return "5xx"
	case status >= 400:
		return "4xx"
	case status >= 300:
		return "3xx"
	default:
		return "2xx"
	}
}

const (
	outcomeDone   = "done"
	outcomeFailed = "failed"
)

// Published notes that a message was appended, or was not.
func (m *Metrics) Published(took time.Duration, err error) {
	outcome := outcomeDone
	if err != nil {
		outcome = outcomeFailed
	}
	m.publish.WithLabelValues(outcome).Observe(took.Seconds())
}

// Canary notes what a message of the relay's own stream took, or that it was lost.
func (m *Metrics) Canary(delay time.Duration, lost bool) {
	if lost {
		m.lost.Inc()
		return
	}
	m.canary.Observe(delay.Seconds())
}

// buildInfo says which build runs.
func buildInfo() prometheus.Collector {
	version, revision := "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lodge_build_info", Help: "Always 1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision},
	}, func() float64 { return 1 })
}
