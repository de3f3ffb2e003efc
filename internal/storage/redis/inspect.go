package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Facts are what an operator should know about a server.
type Facts struct {
	Version        string
	EvictionPolicy string // noeviction: it refuses rather than forgets
	AppendOnly     bool   // it writes down each change
	Replicas       string // how many are connected
	Clock          time.Time
	Asked          time.Time // the middle of the time in which the clock was asked for
}

// Inspect asks a server about itself, trusted or not. Of a Cluster it is any one.
func Inspect(ctx context.Context, c Config) (f Facts, err error) {
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: c.Addrs, MasterName: c.Master, IsClusterMode: c.Cluster,
		Username: c.Username, Password: c.Password, DB: c.DB, TLSConfig: c.TLS, CredentialsProviderContext: c.Credentials,
		ContextTimeoutEnabled: true, DialTimeout: ioLimit, ReadTimeout: ioLimit, WriteTimeout: ioLimit, MaxRetries: -1, DialerRetries: 1,
		DisableIdentity: true, MaintNotificationsConfig: noMaintenance(),
	})
	defer func() { err = errors.Join(err, client.Close()) }()
	info := map[string]string{}
	for _, section := range []string{"server", "memory", "persistence", "replication"} {
		text, err := client.Info(ctx, section).Result()
		if err != nil {
			return f, fmt.Errorf("redis: info: %w", err)
		}
		for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
				info[name] = value
			}
		}
	}
	f = Facts{
		Version: info["redis_version"], EvictionPolicy: info["maxmemory_policy"], AppendOnly: info["aof_enabled"] == "1", Replicas: info["connected_slaves"],
	}
	begun := time.Now()
	f.Clock, err = client.Time(ctx).Result()
	f.Asked = begun.Add(time.Since(begun) / 2)
	if err != nil {
		return f, fmt.Errorf("redis: time: %w", err)
	}
	return f, nil
}
