package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge/idp"
)

// config is what an operator decides. Each key can be given as a flag
// (--public-url), in the environment (LODGE_PUBLIC_URL) or in the YAML file
// (public_url), in that order of weight; issuers stand in the file alone.
type config struct {
	Listen         string // address of the gateway; loopback unless said otherwise
	PublicURL      string // the origin people use
	AssetsListen   string // address the experiment UIs are served on
	AssetsURL      string // their origin: another host name
	AssetsDir      string // directory of namespaces; empty: the built-in samples
	Data           string // directory of the embedded stores and keys
	Redis          string // URL of the session store; empty: the embedded one
	TrustedProxies []netip.Prefix
	UIOrigins      []string
	LoginLife      time.Duration
	LoginIdle      time.Duration
	MessagePeriod  time.Duration
	LogLevel       slog.Level
	Issuers        []idp.IssuerConfig
}

// setting is one key that flags, environment and file share.
type setting struct {
	key   string // as in the file
	about string
	set   func(c *config, value string) error
}

var settings = []setting{
	{"listen", "address to serve the gateway on (default 127.0.0.1:8080)", text(func(c *config) *string { return &c.Listen })},
	{"public_url", "origin people use, such as https://lab.example.org", text(func(c *config) *string { return &c.PublicURL })},
	{"assets_listen", "address to serve experiment UIs on (default 127.0.0.1:8081)", text(func(c *config) *string { return &c.AssetsListen })},
	{"assets_url", "origin of experiment UIs: another host name than public_url's", text(func(c *config) *string { return &c.AssetsURL })},
	{"assets_dir", "directory with one folder per namespace of UIs (default: the built-in samples)", text(func(c *config) *string { return &c.AssetsDir })},
	{"data", "directory of the embedded stores and the root key", text(func(c *config) *string { return &c.Data })},
	{"redis", "URL of a Redis that holds the sessions (default: the embedded store)", text(func(c *config) *string { return &c.Redis })},
	{"redis_file", "file that holds the Redis URL, to keep its password from the command line", fromFile(func(c *config) *string { return &c.Redis })},
	{"trusted_proxies", "addresses or CIDR ranges, comma separated, whose forwarded headers count (default: none)", prefixes},
	{"ui_origins", "further origins of experiment UIs, comma separated", origins},
	{"login_life", "absolute life of a login (default 12h, at most 24h)", duration(func(c *config) *time.Duration { return &c.LoginLife })},
	{"login_idle", "a login is narrowed after so long unused (default 1h)", duration(func(c *config) *time.Duration { return &c.LoginIdle })},
	{"message_period", "right to a booking's messages after its end (default 168h)", duration(func(c *config) *time.Duration { return &c.MessagePeriod })},
	{"log_level", "debug, info, warn or error (default info)", func(c *config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }},
}

func text(field func(*config) *string) func(*config, string) error {
	return func(c *config, v string) error { *field(c) = v; return nil }
}

func fromFile(field func(*config) *string) func(*config, string) error {
	return func(c *config, v string) error {
		body, err := os.ReadFile(v)
		*field(c) = strings.TrimSpace(string(body))
		return err
	}
}

func duration(field func(*config) *time.Duration) func(*config, string) error {
	return func(c *config, v string) error {
		d, err := time.ParseDuration(v)
		if err == nil && d <= 0 {
			err = errors.New("it must be longer than nothing")
		}
		*field(c) = d
		return err
	}
}

func prefixes(c *config, v string) error {
	c.TrustedProxies = nil
	for _, one := range commaList(v) {
		prefix, err := netip.ParsePrefix(one)
		if err != nil {
			addr, addrErr := netip.ParseAddr(one)
			if addrErr != nil {
				return fmt.Errorf("%q is neither an address nor a CIDR range", one)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix)
	}
	return nil
}

func origins(c *config, v string) error { c.UIOrigins = commaList(v); return nil }

func commaList(v string) []string {
	var out []string
	for one := range strings.SplitSeq(v, ",") {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, one)
		}
	}
	return out
}

// fault is one thing wrong with a configuration.
type fault struct{ key, origin, problem string }

func (f fault) Error() string { return fmt.Sprintf("%s (%s): %s", f.key, f.origin, f.problem) }

// settingFlags adds a flag for every setting and --config.
func settingFlags(fs *flag.FlagSet) (given map[string]string, file *string) {
	given = map[string]string{}
	for _, s := range settings {
		fs.Func(strings.ReplaceAll(s.key, "_", "-"), s.about, func(v string) error { given[s.key] = v; return nil })
	}
	return given, fs.String("config", "", "YAML file with the same keys, and issuers")
}

// load reads the configuration from its three origins and returns all its faults
// at once.
func load(given map[string]string, lookup func(string) (string, bool), file string) (config, error) {
	c := config{Listen: "127.0.0.1:8080", AssetsListen: "127.0.0.1:8081"}
	var faults []error
	inFile, err := c.readFile(file)
	if err != nil {
		return c, err
	}
	for _, s := range settings {
		value, origin := "", ""
		if v, ok := inFile[s.key]; ok {
			value, origin = v.value, fmt.Sprintf("%s line %d", file, v.line)
			delete(inFile, s.key)
		}
		env := "LODGE_" + strings.ToUpper(s.key)
		if v, ok := lookup(env); ok {
			value, origin = v, "environment "+env
		}
		if v, ok := given[s.key]; ok {
			value, origin = v, "flag --"+strings.ReplaceAll(s.key, "_", "-")
		}
		if origin == "" {
			continue
		}
		if err := s.set(&c, value); err != nil {
			faults = append(faults, fault{s.key, origin, err.Error()})
		}
	}
	for key, v := range inFile {
		faults = append(faults, fault{key, fmt.Sprintf("%s line %d", file, v.line), "there is no such key; lodge serve -h lists them all"})
	}
	return c, errors.Join(append(faults, c.check()...)...)
}

type located struct {
	value string
	line  int
}

// readFile returns the scalar keys of the file, and takes its issuers.
func (c *config) readFile(path string) (map[string]located, error) {
	if path == "" {
		return nil, nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(body, &root); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	found := map[string]located{}
	if len(root.Content) == 0 {
		return found, nil
	}
	if root.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("configuration %s: it must be a map of keys to values", path)
	}
	pairs := root.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		switch {
		case key.Value == "issuers":
			if err := c.readIssuers(value, filepath.Dir(path)); err != nil {
				return nil, fmt.Errorf("configuration %s: issuers: %w", path, err)
			}
		case value.Kind == yaml.SequenceNode:
			var items []string
			for _, item := range value.Content {
				items = append(items, item.Value)
			}
			found[key.Value] = located{strings.Join(items, ","), key.Line}
		default:
			found[key.Value] = located{value.Value, key.Line}
		}
	}
	return found, nil
}

// issuerFile is an issuer as the file has it.
type issuerFile struct {
	ID               string   `yaml:"id"`
	Name             string   `yaml:"name"`
	URL              string   `yaml:"url"`
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"`
	Scopes           []string `yaml:"scopes"`
	GroupsClaim      string   `yaml:"groups_claim"`
	Private          bool     `yaml:"private"`
	Insecure         bool     `yaml:"insecure"`
}

func (c *config) readIssuers(node *yaml.Node, dir string) error {
	var read []issuerFile
	if err := node.Decode(&read); err != nil {
		return err
	}
	for _, f := range read {
		issuer := idp.IssuerConfig{
			ID: f.ID, Name: f.Name, URL: f.URL, ClientID: f.ClientID, Scopes: f.Scopes, GroupsClaim: f.GroupsClaim, Private: f.Private, Insecure: f.Insecure,
		}
		if f.ClientSecretFile != "" {
			if !filepath.IsAbs(f.ClientSecretFile) {
				f.ClientSecretFile = filepath.Join(dir, f.ClientSecretFile)
			}
			secret, err := os.ReadFile(f.ClientSecretFile)
			if err != nil {
				return err
			}
			issuer.ClientSecret = strings.TrimSpace(string(secret))
		}
		c.Issuers = append(c.Issuers, issuer)
	}
	return nil
}

// check returns what no single value shows to be wrong.
func (c *config) check() []error {
	var faults []error
	missing := func(key, value, remedy string) {
		if value == "" {
			faults = append(faults, fault{key, "not set", remedy})
		}
	}
	missing("public_url", c.PublicURL, "give the origin people use, such as https://lab.example.org")
	missing("assets_url", c.AssetsURL, "give the origin of experiment UIs, on another host name, such as https://ui.lab.example.org")
	missing("data", c.Data, "give a directory that survives a restart, such as /var/lib/lodge")
	for key, origin := range map[string]string{"public_url": c.PublicURL, "assets_url": c.AssetsURL} {
		u, err := url.Parse(origin)
		if origin == "" || (err == nil && u.Scheme == "https") || (err == nil && u.Scheme == "http" && isLoopback(u.Hostname())) {
			continue
		}
		faults = append(faults, fault{key, "its scheme", "use https: plain http is for loopback only, where no cookie or code crosses a network"})
	}
	return faults
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}
