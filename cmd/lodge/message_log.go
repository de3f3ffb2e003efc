package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/lodge-gateway/lodge/internal/storage/jetstream"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
	"github.com/lodge-gateway/lodge/messaging"
)

// openLog opens the message log that a configuration names.
func openLog(ctx context.Context, cfg config, s *stores, log *slog.Logger) (messaging.Log, error) {
	switch cfg.MessageLog.Backend {
	case logRedis:
		return openRedisLog(ctx, cfg, log)
	case logNATS:
		logs, err := jetstream.NewLog(ctx, cfg.MessageLog.NATS)
		if err != nil {
			return nil, fmt.Errorf("the message log cannot be used; start its NATS or mend the settings: %w", err)
		}
		return logs, nil
	}
	return s.log(), nil
}

func openRedisLog(ctx context.Context, cfg config, log *slog.Logger) (messaging.Log, error) {
	url, fresh := cfg.MessageLog.Redis, cfg.MessageLog.RedisFresh
	if url == "" {
		url, fresh = cfg.Redis, cfg.RedisFresh
	}
	at, err := redisAt(url, fresh, log)
	if err != nil {
		return nil, err
	}
	logs, err := redis.NewLog(ctx, at, redis.LogOptions{MinReplicas: cfg.MessageLog.Replicas})
	if err != nil {
		return nil, fmt.Errorf("the message log does not answer; start its Redis or mend its URL: %w", err)
	}
	return logs, nil
}

// redisAt is the Redis of a URL, whose user and password are read again from
// where they stand.
func redisAt(url string, fresh func() (string, error), log *slog.Logger) (redis.Config, error) {
	at, err := redis.ParseURL(url)
	if err != nil {
		return at, err
	}
	at.Logger = log
	if fresh != nil {
		at.Credentials = func(context.Context) (username, password string, err error) {
			text, err := fresh()
			if err != nil {
				return "", "", err
			}
			now, err := redis.ParseURL(text)
			return now.Username, now.Password, err
		}
	}
	return at, nil
}
