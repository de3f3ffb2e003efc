package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
)

func logLogger(c Config) *slog.Logger {
	if c.Logger == nil {
		return slog.Default()
	}
	return c.Logger
}

// onConnect is go-redis' hook for each connection that was just made: what is
// found wrong after a failover, too, is refused before anything is written there.
func (l *Log) onConnect(ctx context.Context, cn *redis.Conn) error {
	who, err := whois(ctx, cn)
	if err == nil && !who.sentinel {
		err = l.inspect(ctx, cn, who)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errLogUnsent, err)
	}
	return nil
}

// inspect refuses a server that would forget entries of its own accord, and gives
// it the scripts.
func (l *Log) inspect(ctx context.Context, cn *redis.Conn, who identity) error {
	if !who.master {
		return errors.New("the server is a replica, which may be behind")
	}
	var memory, files *redis.StringCmd
	_, err := cn.Pipelined(ctx, func(p redis.Pipeliner) error {
		memory, files = p.Info(ctx, "memory"), p.Info(ctx, "persistence")
		for _, script := range logScripts {
			p.ScriptLoad(ctx, script.text) // where that is not allowed, they are sent each time
		}
		return nil
	})
	if err != nil && !logAnswered(err) {
		return err
	}
	if policy := logInfo(memory.Val(), "maxmemory_policy"); policy != "" && policy != "noeviction" {
		return fmt.Errorf("the server's maxmemory-policy is %s, with which it deletes messages when it is full; set it to noeviction", policy)
	}
	if logInfo(files.Val(), "aof_enabled") == "0" && l.firstTime(who.life) {
		l.warn("redis: the server of the message log has no append-only file: what was acknowledged does not survive a crash; set appendonly yes")
	}
	return nil
}

func (l *Log) firstTime(life string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.warned[life]
	l.warned[life] = true
	return first
}

// logInfo returns a field of what INFO says, "" when it is not there.
func logInfo(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
