package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// varz is what this package reads of a server's monitoring.
type varz struct {
	ID        string `json:"server_id"`
	Name      string `json:"server_name"`
	JetStream struct {
		Config *struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	} `json:"jetstream"`
}

// synced refuses servers that acknowledge what is not on their disks yet. None
// tells its clients, neither in the answers of JetStream's API nor in a stream's
// configuration (persist_mode says less): monitoring does.
func (c Config) synced(ctx context.Context, connected string) error {
	if len(c.Monitors) == 0 {
		if c.SyncVouched {
			return nil
		}
		return errors.New("whether the servers sync what they acknowledge is not known: name their monitoring URLs, or vouch for sync_interval: always")
	}
	if len(c.Monitors) < c.Replicas {
		return fmt.Errorf("%d monitoring URLs for %d replicas: name those of all servers", len(c.Monitors), c.Replicas)
	}
	client := http.Client{Timeout: c.Timeout, Transport: &http.Transport{TLSClientConfig: c.TLS, DisableKeepAlives: true}}
	seen := map[string]bool{}
	for _, monitor := range c.Monitors {
		server, err := ask(ctx, &client, monitor)
		if err != nil {
			return err
		}
		if server.JetStream.Config == nil || !server.JetStream.Config.SyncAlways {
			return fmt.Errorf("the server %s acknowledges messages before they are on its disk; set sync_interval: always in its jetstream block", server.Name)
		}
		seen[server.ID] = true
	}
	if !seen[connected] {
		return errors.New("the server connected to is not among those whose monitoring URLs were given")
	}
	if len(seen) < c.Replicas {
		return fmt.Errorf("the monitoring URLs are of %d servers for %d replicas", len(seen), c.Replicas)
	}
	return nil
}

// ask returns what a server's monitoring tells.
func ask(ctx context.Context, client *http.Client, monitor string) (varz, error) {
	var server varz
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitor, "/")+"/varz", http.NoBody)
	if err != nil {
		return server, fmt.Errorf("monitoring: %w", err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return server, fmt.Errorf("monitoring: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // it has been read
	if answer.StatusCode != http.StatusOK {
		return server, fmt.Errorf("monitoring: %s says %s", request.URL.Redacted(), answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&server); err != nil {
		return server, fmt.Errorf("monitoring: %s: %w", request.URL.Redacted(), err)
	}
	return server, nil
}
