package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
)

// canaryLate is how long the canary's message may take, as in the alert.
const canaryLate = 25 * time.Millisecond

// examineNode asks the node itself how it is, if one runs on the data.
func examineNode(ctx context.Context, cfg config) []finding {
	var ready gateway.Readiness
	err := ask(ctx, cfg.Data, "/readyz", nil, &ready)
	if errors.Is(err, errNoServer) {
		return nil
	}
	if err != nil {
		return []finding{{"node", levelFault, "it runs and is not ready: " + inOneLine(err), "wait if it has just begun; else see to the store it names"}}
	}
	found := []finding{{"node", levelOK, "it runs and is ready", ""}}
	if c := ready.Canary; c != nil {
		found = append(found, judgedCanary(*c))
	}
	return found
}

func judgedCanary(c gateway.CanaryView) finding {
	took := time.Duration(c.Delay * float64(time.Second)).Round(10 * time.Microsecond)
	if c.Lost {
		return finding{"canary", levelFault, "the last message of the relay's own stream did not come back", "streams are likely to stand still: look at the node's load and file limit, and restart it if that helps nothing"}
	}
	return judged("canary", took > canaryLate, levelWarning, fmt.Sprintf("a message through the relay took %s", took), "the machine is too busy: add a relay, or find what else it does")
}

// examineNodes asks every node that carries streams for the time: what ends
// sessions and tickets are the nodes' clocks, not this machine's alone. A Date is of
// whole seconds.
func examineNodes(ctx context.Context, cfg config) []finding {
	if cfg.Redis == "" || cfg.RelayURL == "" {
		return nil
	}
	nodes, err := relayNodes(ctx, cfg)
	if err != nil {
		return []finding{{"relays", levelFault, inOneLine(err), "start a gateway, which marks the Redis as good; else see to Redis"}}
	}
	found := []finding{judged("relays", len(nodes) == 0, levelWarning, fmt.Sprintf("%d carry streams", len(nodes)), "start one: without a relay no stream can be opened")}
	for _, url := range nodes {
		found = append(found, examineClock(ctx, url))
	}
	return found
}

// relayNodes returns the origins of the relays that live.
func relayNodes(ctx context.Context, cfg config) (urls []string, err error) {
	at, err := redisAt(cfg.Redis, cfg.RedisFresh, nil)
	if err != nil {
		return nil, err
	}
	at.Clock = lodge.SystemClock{}
	rdb, err := redis.Open(at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rdb.Close()) }()
	nodes, err := redis.NewLeases(rdb).Nodes(ctx, lodge.DefaultTenant)
	for _, n := range nodes {
		if n.URL != "" {
			urls = append(urls, "http"+strings.TrimPrefix(n.URL, "ws"))
		}
	}
	return urls, err
}

func examineClock(ctx context.Context, url string) finding {
	check := "clock of " + url
	asked := time.Now()
	answer, err := fetch(ctx, nil, url+"/healthz")
	middle := asked.Add(time.Since(asked) / 2)
	if err == nil && answer.status != http.StatusOK {
		err = fmt.Errorf("it answers %d", answer.status)
	}
	if err != nil {
		return finding{check, levelWarning, inOneLine(err), "look at the proxy before it, its certificate and the name"}
	}
	date, err := http.ParseTime(answer.date)
	if err != nil {
		return finding{check, levelWarning, "it does not tell the time", "look at what answers in its stead"}
	}
	by := date.Add(time.Second / 2).Sub(middle)
	return judged(check, by.Abs() > skewLimit+time.Second/2, levelFault, fmt.Sprintf("about %s from ours", by.Round(time.Second)), "let NTP set the clocks of all machines: sessions and tickets end by them")
}
