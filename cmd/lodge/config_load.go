package main

import (
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge/gateway"
)

// fault is one thing wrong with a configuration: its key, where it stands, and
// what to do about it.
type fault struct{ key, origin, problem string }

func (f fault) Error() string { return fmt.Sprintf("%s (%s): %s", f.key, f.origin, f.problem) }

// weight orders the places a value can come from.
type weight int

const (
	inFile weight = iota + 1
	inEnvironment
	onCommandLine
)

// source is a value and where it stands.
type source struct {
	value  string
	origin string // in words: a line of the file, a variable, a flag
	dir    string // what relative file names start from; empty: the working directory
	weight weight
}

// load reads the configuration of a server and returns all its faults at once.
func load(given map[string]string, lookup func(string) (string, bool), file string) (config, error) {
	c, from, faults := read(given, lookup, file)
	missing := func(key, remedy string) {
		if _, ok := from[key]; !ok {
			faults = append(faults, fault{key, "not set", remedy})
		}
	}
	missing("public_url", "give the origin people use, such as https://lab.example.org")
	missing("assets_url", "give the origin of experiment UIs, on another host name, such as https://ui.lab.example.org")
	missing("data", "give a directory that survives a restart, such as /var/lib/lodge")
	if host := hostOf(c.PublicURL); host != "" && host == hostOf(c.AssetsURL) {
		faults = append(faults, fault{"assets_url", from["assets_url"].origin, "its host name is public_url's; use another, " +
			"since a port of its own does not keep a UI's script from the gateway's cookies"})
	}
	return c, errors.Join(faults...)
}

// loadOffline is load for commands that serve nothing, and so need no origin.
func loadOffline(given map[string]string, lookup func(string) (string, bool), file string) (config, error) {
	c, from, faults := read(given, lookup, file)
	if _, ok := from["data"]; !ok {
		faults = append(faults, fault{"data", "not set", "name the server's data directory, or its configuration with --config"})
	}
	c.PublicURL, c.AssetsURL = "http://127.0.0.1", "http://localhost"
	return c, errors.Join(faults...)
}

func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// read takes every value from its weightiest place. from says where each stood.
func read(given map[string]string, lookup func(string) (string, bool), file string) (c config, from map[string]source, faults []error) {
	return readFor("", given, lookup, file)
}

// readFor is read for a command that takes some of the settings only; the empty
// one takes all. The others may stand in the environment, and are not for it there;
// in its own file they are a mistake.
func readFor(command string, given map[string]string, lookup func(string) (string, bool), file string) (c config, from map[string]source, faults []error) {
	c = config{
		Listen: "127.0.0.1:8080", AssetsListen: "127.0.0.1:8081",
		Mail:      mailConfig{Reminders: defaultReminders},
		Retention: gateway.Retention{Notices: 90 * 24 * time.Hour, Classroom: 5 * 365 * 24 * time.Hour},
	}
	from, faults = c.readFile(file)
	faults = append(faults, notFor(command, from)...)
	for _, s := range settings {
		if !takes(command, s.key) {
			continue
		}
		if v, ok := lookup(environment(s.key)); ok {
			from[s.key] = source{value: v, origin: "environment " + environment(s.key), weight: inEnvironment}
		}
		if v, ok := given[s.key]; ok {
			from[s.key] = source{value: v, origin: "flag --" + flagName(s.key), weight: onCommandLine}
		}
	}
	for _, key := range []string{"database", "redis", "log_redis"} {
		faults = append(faults, onePlace(from, key)...)
	}
	for _, s := range settings {
		if value, ok := from[s.key]; ok {
			if err := s.set(&c, value); err != nil {
				faults = append(faults, fault{s.key, value.origin, inOneLine(err)})
			}
		}
	}
	faults = append(faults, c.completeStores(from)...)
	faults = append(faults, c.completeRelay(from)...)
	faults = append(faults, c.completeMail(from)...)
	faults = append(faults, c.completeHandIns(from)...)
	return c, from, faults
}

func inOneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// readFile returns the settings of the file and takes its issuers.
func (c *config) readFile(path string) (map[string]source, []error) {
	from := map[string]source{}
	if path == "" {
		return from, nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return from, []error{fmt.Errorf("configuration: %w", err)}
	}
	var root yaml.Node
	if err := yaml.Unmarshal(body, &root); err != nil {
		return from, []error{fmt.Errorf("configuration %s: %w", path, err)}
	}
	if len(root.Content) == 0 {
		return from, nil
	}
	if root.Content[0].Kind != yaml.MappingNode {
		return from, []error{fmt.Errorf("configuration %s: it must be a map of keys to values", path)}
	}
	var faults []error
	for key, value := range pairs(root.Content[0]) {
		at := fmt.Sprintf("%s line %d", path, key.Line)
		if key.Value == "issuers" {
			faults = append(faults, c.readIssuers(path, value)...)
			continue
		}
		text, err := scalar(value)
		_, twice := from[key.Value]
		switch {
		case !isSetting(key.Value):
			faults = append(faults, fault{key.Value, at, "there is no such key; lodge serve -h lists them all"})
		case twice:
			faults = append(faults, fault{key.Value, at, "it is given above already; keep one of the two"})
		case err != nil:
			faults = append(faults, fault{key.Value, at, err.Error()})
		case value.Tag == "!!null": // a key without a value leaves the default
		default:
			from[key.Value] = source{value: text, origin: at, dir: filepath.Dir(path), weight: inFile}
		}
	}
	return from, faults
}

func isSetting(key string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return s.key == key })
}

// pairs yields the keys and values of a mapping, in the order of the file.
func pairs(mapping *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if !yield(mapping.Content[i], mapping.Content[i+1]) {
				return
			}
		}
	}
}

// scalar returns a single value as text, and a list of them with commas.
func scalar(n *yaml.Node) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, nil
	case yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return "", errors.New("its list holds something that is not a single value")
			}
			items[i] = item.Value
		}
		return strings.Join(items, ","), nil
	default:
		return "", errors.New("give it a single value, or a list of them")
	}
}
