package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge/relay/bridge"
)

// hostConfig is what stands beside an experiment's hardware: lodge host.
type hostConfig struct {
	Relay      string        `yaml:"relay"`
	CodeFile   string        `yaml:"code_file"`
	Listen     string        `yaml:"listen"`
	LogLevel   string        `yaml:"log_level"`
	MaxMessage int64         `yaml:"max_message_bytes"`
	QueueBytes int           `yaml:"queue_bytes"`
	Streams    []hostStreams `yaml:"streams"`
}

type hostStreams struct {
	Topic string `yaml:"topic"`
	Dial  string `yaml:"dial"`
}

// hostSettings are the keys that flags and the environment have too, in that
// order of weight, before the file.
var hostSettings = []struct {
	key, about string
	field      func(*hostConfig) *string
}{
	{"relay", "address of the gateway, such as https://lab.example.org", func(c *hostConfig) *string { return &c.Relay }},
	{"code_file", "file that holds the host's code", func(c *hostConfig) *string { return &c.CodeFile }},
	{"listen", "address on loopback for local programs and the status page (default 127.0.0.1:8888)", func(c *hostConfig) *string { return &c.Listen }},
	{"log_level", "debug, info, warn or error (default info)", func(c *hostConfig) *string { return &c.LogLevel }},
}

// hostVariable is how a key is written in the environment: a host may run beside
// a server, which has variables of its own.
func hostVariable(key string) string { return "LODGE_HOST_" + strings.ToUpper(key) }

// host carries the streams of an experiment to the relay until ctx ends.
func (a *app) host(ctx context.Context, args []string) error {
	fs := a.flags("host", "--config FILE [--relay URL] [--code-file F] [--listen ADDR]")
	given := map[string]string{}
	for _, s := range hostSettings {
		fs.Func(flagName(s.key), s.about, func(v string) error { given[s.key] = v; return nil })
	}
	file := fs.String("config", "", "YAML file with the same keys, and the streams")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, level, err := loadHost(*file, given, a.lookup)
	if err != nil {
		return err
	}
	log := a.logger(level)
	options := bridge.Options{
		Relay: cfg.Relay, Code: codeIn(cfg.CodeFile), MaxMessage: cfg.MaxMessage, QueueBytes: cfg.QueueBytes, Logger: log,
	}
	for _, s := range cfg.Streams {
		options.Streams = append(options.Streams, bridge.Stream{Topic: s.Topic, Dial: s.Dial})
	}
	b, err := bridge.New(options)
	if err != nil {
		return err
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "lodge: status at http://%s\n", listener.Addr())
	return serveHost(ctx, b, listener, log)
}

// serveHost runs the bridge and serves its address until ctx ends.
func serveHost(ctx context.Context, b *bridge.Bridge, listener net.Listener, log *slog.Logger) error {
	server := &http.Server{
		Handler: b.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error { return b.Run(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	return group.Wait()
}

// codeIn reads the code at each attempt, so that a new one needs no restart.
func codeIn(file string) func() (string, error) {
	return func() (string, error) {
		body, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("the host's code: %w", err)
		}
		if code := string(bytes.TrimSpace(body)); code != "" {
			return code, nil
		}
		return "", fmt.Errorf("the host's code: %s is empty; write what `lodge codes create --experiment X` printed into it", file)
	}
}

// loadHost reads the configuration and returns all its faults at once.
func loadHost(file string, given map[string]string, lookup func(string) (string, bool)) (hostConfig, slog.Level, error) {
	cfg := hostConfig{Listen: "127.0.0.1:8888", LogLevel: "info"}
	var faults []error
	if file == "" {
		faults = append(faults, fault{"config", "not set", "name the YAML file that lists the streams"})
	} else if err := cfg.read(file); err != nil {
		faults = append(faults, err)
	}
	for _, s := range hostSettings {
		if v, ok := lookup(hostVariable(s.key)); ok {
			*s.field(&cfg) = v
		}
		if v, ok := given[s.key]; ok {
			*s.field(&cfg) = v
		}
	}
	origin, err := parseOrigin(cfg.Relay)
	if err != nil {
		faults = append(faults, fault{"relay", "the gateway's address", err.Error()})
	}
	cfg.Relay = origin
	if cfg.CodeFile == "" {
		faults = append(faults, fault{"code_file", "not set", "name the file that holds the host's code"})
	} else if _, err := codeIn(cfg.CodeFile)(); err != nil {
		faults = append(faults, fault{"code_file", cfg.CodeFile, err.Error()})
	}
	if host, _, err := net.SplitHostPort(cfg.Listen); err != nil || !isLoopback(host) {
		faults = append(faults, fault{"listen", cfg.Listen, "write an address on loopback, like 127.0.0.1:8888: whoever reaches it can drive the hardware"})
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		faults = append(faults, fault{"log_level", cfg.LogLevel, "it is debug, info, warn or error"})
	}
	return cfg, level, errors.Join(faults...)
}

// read takes the file. Names of files in it start from where it is.
func (c *hostConfig) read(file string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(body))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("configuration %s: %s", file, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if c.CodeFile != "" && !filepath.IsAbs(c.CodeFile) {
		c.CodeFile = filepath.Join(filepath.Dir(file), c.CodeFile)
	}
	return nil
}
