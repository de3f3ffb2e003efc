package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// env is an environment for lookups.
type env map[string]string

func (e env) lookup(name string) (string, bool) {
	v, ok := e[name]
	return v, ok
}

// with returns the keys of a configuration that is right, and more.
func with(more map[string]string) map[string]string {
	given := map[string]string{"public_url": "https://lab.test", "assets_url": "https://ui.test", "data": "/var/lib/lodge"}
	for key, value := range more {
		given[key] = value
	}
	return given
}

// write puts files into a new directory and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestConfigPrecedence(t *testing.T) {
	const inAFile = "login_life: 2h\npublic_url: https://file.test\nassets_url: https://ui.test\ndata: kept\n"
	variables := env{"LODGE_LOGIN_LIFE": "3h", "LODGE_PUBLIC_URL": "https://env.test"}
	dir := write(t, map[string]string{"lodge.yaml": inAFile})
	file := filepath.Join(dir, "lodge.yaml")
	for _, tt := range []struct {
		name      string
		given     map[string]string
		env       env
		wantLife  time.Duration
		wantURL   string
		wantLevel slog.Level
	}{
		{"the file alone", nil, nil, 2 * time.Hour, "https://file.test", slog.LevelInfo},
		{"the environment before the file", nil, variables, 3 * time.Hour, "https://env.test", slog.LevelInfo},
		{
			"flags before both", map[string]string{"login_life": "4h", "log_level": "warn"}, variables,
			4 * time.Hour, "https://env.test", slog.LevelWarn,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(tt.given, tt.env.lookup, file)
			if err != nil {
				t.Fatal(err)
			}
			if c.LoginLife != tt.wantLife || c.PublicURL != tt.wantURL || c.LogLevel != tt.wantLevel {
				t.Errorf("got %v %s %v", c.LoginLife, c.PublicURL, c.LogLevel)
			}
			if c.Data != filepath.Join(dir, "kept") {
				t.Errorf("data %s is not taken from where the file is", c.Data)
			}
		})
	}
}

func TestConfigRedisIsNamedOnce(t *testing.T) {
	dir := write(t, map[string]string{
		"url":       "redis://from-a-file:6379\n",
		"both.yaml": "redis: redis://a:6379\nredis_file: url\n",
		"file.yaml": "redis_file: url\n",
		"url.yaml":  "redis: redis://a:6379\n",
	})
	url, none := filepath.Join(dir, "url"), map[string]string(nil)
	for _, tt := range []struct {
		name  string
		file  string
		env   env
		given map[string]string
		want  string // part of the fault, when it begins with a colon
	}{
		{"a file beside the configuration", "file.yaml", nil, none, "redis://from-a-file:6379"},
		{"the environment's file over the configuration's URL", "url.yaml", env{"LODGE_REDIS_FILE": url}, none, "redis://from-a-file:6379"},
		{"a flag over the environment's file", "url.yaml", env{"LODGE_REDIS_FILE": url}, map[string]string{"redis": "redis://b:6379"}, "redis://b:6379"},
		{"nothing over a file", "file.yaml", nil, map[string]string{"redis": ""}, ""},
		{"both in one place", "both.yaml", nil, none, ":redis is given beside it"},
		{"both as flags", "", nil, map[string]string{"redis": "redis://b:6379", "redis_file": url}, ":redis is given beside it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := tt.file
			if file != "" {
				file = filepath.Join(dir, file)
			}
			c, err := load(with(tt.given), tt.env.lookup, file)
			if fault, ok := strings.CutPrefix(tt.want, ":"); ok {
				if err == nil || !strings.Contains(err.Error(), fault) {
					t.Errorf("got %v, want %q", err, fault)
				}
				return
			}
			if err != nil || c.Redis != tt.want {
				t.Errorf("got %q %v, want %q", c.Redis, err, tt.want)
			}
		})
	}
}

// What is chosen together must go together; every fault is named.
func TestConfigStores(t *testing.T) {
	const database, redis = "postgres://lodge:secret@db/lodge", "redis://r:6379"
	for _, tt := range []struct {
		name  string
		given map[string]string
		log   string   // where messages are kept
		wrong []string // keys that are faulty, in order
	}{
		{"a node on its own", nil, logEmbedded, nil},
		{"sessions in a Redis", map[string]string{"redis": redis}, logEmbedded, nil},
		{"several nodes", map[string]string{"database": database, "redis": redis}, logPostgres, nil},
		{"messages in the Redis of the sessions", map[string]string{"database": database, "redis": redis, "log": "redis"}, logRedis, nil},
		{"messages in another", map[string]string{"redis": redis, "log": "redis", "log_redis": "redis://l", "log_redis_replicas": "1"}, logRedis, nil},
		{"the flag that says not", map[string]string{"database": "", "redis": ""}, logEmbedded, nil},
		{"a shared database without shared sessions", map[string]string{"database": database}, "", []string{"redis"}},
		{"messages on one node of several", map[string]string{"database": database, "log": "embedded"}, "", []string{"redis", "log"}},
		{"messages in a database that is not there", map[string]string{"log": "postgres", "log_redis": redis}, "", []string{"log", "log_redis"}},
		{"a database of another kind", map[string]string{"database": "mysql://h/lodge", "redis": redis}, "", []string{"database"}},
		{"a database at no port", map[string]string{"database": "postgres://lodge:secret@h:port/lodge"}, "", []string{"database", "redis"}},
		{"a Redis of another kind", map[string]string{"log": "redis", "log_redis": "http://h"}, "", []string{"log_redis"}},
		{"a Redis in no file", map[string]string{"log": "redis", "log_redis_file": "/no/such/file"}, "", []string{"log_redis_file"}},
		{"messages in NATS", map[string]string{"database": database, "redis": redis, "log": "nats", "nats": "nats://n1,tls://n2:4222", "nats_monitors": "vouched"}, logNATS, nil},
		{"messages in a NATS that is not there", map[string]string{"log": "nats"}, "", []string{"nats", "nats_monitors"}},
		{"NATS that is faulty", map[string]string{
			"log": "nats", "nats": "nats://n1", "nats_monitors": "127.0.0.1:8222", "nats_replicas": "2", "nats_credentials_file": "/no/such/file",
		}, "", []string{"nats_credentials_file", "nats_replicas", "nats_monitors"}},
		{"NATS for nothing", map[string]string{"nats": "nats://n1"}, "", []string{"nats"}},
		{"a NATS of another kind", map[string]string{"log": "nats", "nats": "http://n1", "nats_monitors": "vouched"}, "", []string{"nats"}},
		{"messages in a Redis that is not there", map[string]string{"log": "redis"}, "", []string{"log_redis"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(with(tt.given), env{}.lookup, "")
			var wrong []string
			for line := range strings.Lines(fmt.Sprint(err)) {
				if key, _, ok := strings.Cut(line, " ("); ok {
					wrong = append(wrong, key)
				}
			}
			if !slices.Equal(wrong, tt.wrong) || err == nil && c.MessageLog.Backend != tt.log || err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("messages in %q, faults %v; want %q and faults of %v", c.MessageLog.Backend, err, tt.log, tt.wrong)
			}
		})
	}
}

// Each value that is wrong is named with where it stands and what is right.
func TestConfigFaults(t *testing.T) {
	for _, tt := range []struct{ key, value, want string }{
		{"public_url", "http://lab.example.org", "use https: plain http is for loopback only"},
		{"public_url", "http://10.0.0.1:8080", "use https: plain http is for loopback only"},
		{"public_url", "lab.example.org", "is not an origin"},
		{"public_url", "https://lab.example.org/lodge", "is not an origin"},
		{"public_url", "https://user:secret@lab.example.org", "is not an origin"},
		{"assets_url", "https://lab.test:8443", "another"},
		{"assets_url", "http://ui.example.org", "use https"},
		{"ui_origins", "https://a.test,http://b.test", "use https"},
		{"listen", "8080", "write it like 127.0.0.1:8080"},
		{"listen", "127.0.0.1:http", "write it like 127.0.0.1:8080"},
		{"assets_listen", "127.0.0.1:99999", "write it like 127.0.0.1:8080"},
		{"data", "", "name a directory"},
		{"redis", "http://127.0.0.1:6379", "redis://"},
		{"redis_file", "/no/such/file", "no such file"},
		{"database_file", "/no/such/file", "no such file"},
		{"log", "memory", "embedded, postgres, redis, nats"},
		{"log", "postgres", "in the shared database"},
		{"log_redis", "redis://127.0.0.1:6379", "write log: redis"},
		{"log_redis_replicas", "2", "write log: redis"},
		{"jwt_secret_file", "/no/such/file", "no such file"},
		{"jwt_secret_file", "/dev/null", "is empty"},
		{"trusted_proxies", "10.0.0.1,proxy", `"proxy" is neither an address nor a CIDR range`},
		{"login_life", "25h", "at most 24h"},
		{"login_life", "0s", "longer than nothing"},
		{"login_idle", "soon", "write it like 90m or 12h"},
		{"reference_length", "7", "neither 6 nor 8"},
		{"message_period", "-1h", "longer than nothing"},
		{"wait_turn", "30s", "1m0s"}, {"wait_turn", "25h", "24h0m0s"},
		{"zone", "Atlantis", "no time zone"}, {"zone", "Local", "no time zone"},
		{"retention_notices", "1h", "at least 24h"},
		{"self_erasure", "yes", "neither allowed nor refused"},
		{"retention_classroom", "forever", "like 2160h"},
		{"log_level", "loud", "debug, info, warn or error"},
	} {
		t.Run(tt.key+" "+tt.value, func(t *testing.T) {
			for _, from := range []struct {
				given  map[string]string
				env    env
				origin string
			}{
				{with(map[string]string{tt.key: tt.value}), nil, "flag --" + strings.ReplaceAll(tt.key, "_", "-")},
				{
					without(with(nil), tt.key), env{"LODGE_" + strings.ToUpper(tt.key): tt.value},
					"environment LODGE_" + strings.ToUpper(tt.key),
				},
			} {
				_, err := load(from.given, from.env.lookup, "")
				if err == nil {
					t.Fatal("accepted")
				}
				message := err.Error()
				if !strings.HasPrefix(message, tt.key+" ("+from.origin+"): ") || !strings.Contains(message, tt.want) || strings.Contains(message, "\n") {
					t.Errorf("got %q, want one line of %s from %s that says %q", message, tt.key, from.origin, tt.want)
				}
			}
		})
	}
}

func without(keys map[string]string, key string) map[string]string {
	delete(keys, key)
	return keys
}

// All faults are reported at once, each with its key, where it stands, and what
// to do.
func TestConfigAllFaultsAtOnce(t *testing.T) {
	const body = `listen: here
public_url: http://lab.example.org
colour: blue
login_life: 48h
login_life: 12h
trusted_proxies: {a: b}
issuers:
  - id: Upper
    url: https://sso.example.org
  - id: plain
    url: http://sso.example.org
    client_id: lodge
  - id: spelt
    url: https://sso.example.org
    client_id: lodge
    client_secert_file: x
  - id: plain
    url: https://sso.example.org
    client_id: lodge
    client_secret_file: gone
`
	file := filepath.Join(write(t, map[string]string{"lodge.yaml": body}), "lodge.yaml")
	_, err := load(map[string]string{"login_idle": "long"}, env{"LODGE_LOG_LEVEL": "loud"}.lookup, file)
	if err == nil {
		t.Fatal("accepted")
	}
	got := strings.Split(strings.ReplaceAll(err.Error(), file, "FILE"), "\n")
	want := []string{
		`colour (FILE line 3): there is no such key; lodge serve -h lists them all`,
		`login_life (FILE line 5): it is given above already; keep one of the two`,
		`trusted_proxies (FILE line 6): give it a single value, or a list of them`,
		`issuers[0] (FILE line 8): issuer "Upper": the id must be 1 to 63 of a-z, 0-9, '-', '_' and begin with a letter or digit; the client id is missing; register Lodge at the issuer to get one`,
		`issuers[1] (FILE line 10): issuer "plain": url: https is required; http needs insecure, and is for this machine only`,
		`issuers[2] (FILE line 13): there is no key "client_secert_file"; an issuer has id, name, url, client_id, client_secret_file, scopes, prompt, groups_claim, trust_email, private, insecure, rules`,
		`issuers[3] (FILE line 17): client_secret_file: open ` + filepath.Join(filepath.Dir(file), "gone") + `: no such file or directory`,
		`issuers[3] (FILE line 17): the id "plain" is taken by an issuer above; each needs its own`,
		`listen (FILE line 1): "here" is not an address; write it like 127.0.0.1:8080`,
		`public_url (FILE line 2): its scheme is http; use https: plain http is for loopback only, where no cookie or code crosses a network`,
		`login_life (FILE line 4): 48h is out of bounds; it is longer than nothing and at most 24h`,
		`login_idle (flag --login-idle): "long" is not a duration; write it like 90m or 12h`,
		`log_level (environment LODGE_LOG_LEVEL): "loud" is not a level; write debug, info, warn or error`,
		`assets_url (not set): give the origin of experiment UIs, on another host name, such as https://ui.lab.example.org`,
		`data (not set): give a directory that survives a restart, such as /var/lib/lodge`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestConfigFileThatIsNone(t *testing.T) {
	dir := write(t, map[string]string{"list.yaml": "- a\n", "broken.yaml": "a: [", "empty.yaml": ""})
	for name, want := range map[string]string{
		"gone.yaml": "no such file", "list.yaml": "a map of keys to values", "broken.yaml": "yaml:", "empty.yaml": "public_url (not set)",
	} {
		if _, err := load(nil, env{}.lookup, filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

// Origins are compared with what browsers send, and so are written like it.
func TestConfigOriginsAreWrittenAsBrowsersDo(t *testing.T) {
	for value, want := range map[string]string{
		"https://Lab.Example.org/":     "https://lab.example.org",
		"https://lab.example.org:443":  "https://lab.example.org",
		"https://lab.example.org:8443": "https://lab.example.org:8443",
		"http://127.0.0.1:80/":         "http://127.0.0.1",
		"http://[::1]:8080":            "http://[::1]:8080",
		"http://localhost:8080":        "http://localhost:8080",
	} {
		if got, err := parseOrigin(value); err != nil || got != want {
			t.Errorf("%s: got %q %v, want %q", value, got, err, want)
		}
	}
}

func TestConfigLists(t *testing.T) {
	c, err := load(with(map[string]string{"trusted_proxies": "10.0.0.7, ::ffff:192.0.2.1 ,fd00::/8,", "ui_origins": "https://a.test/, https://B.test"}), env{}.lookup, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.7/32"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("fd00::/8")}; !slices.Equal(c.TrustedProxies, want) {
		t.Errorf("proxies %v, want %v", c.TrustedProxies, want)
	}
	if want := []string{"https://a.test", "https://b.test"}; !slices.Equal(c.UIOrigins, want) {
		t.Errorf("origins %v, want %v", c.UIOrigins, want)
	}
}

// What serves nothing needs no origins, and says what it does need.
func TestConfigOffline(t *testing.T) {
	c, err := loadOffline(map[string]string{"data": "d"}, env{}.lookup, "")
	if err != nil || c.Data != "d" {
		t.Errorf("got %q %v", c.Data, err)
	}
	if _, err = loadOffline(nil, env{}.lookup, ""); err == nil || !strings.HasPrefix(err.Error(), "data (not set)") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(write(t, map[string]string{"lodge.yaml": "data: d\nlisten: x\n"}), "lodge.yaml")
	if _, err = loadOffline(nil, env{}.lookup, file); err == nil || !strings.HasPrefix(err.Error(), "listen (") {
		t.Errorf("a fault in the file: %v", err)
	}
}

var (
	exampleLine  = regexp.MustCompile(`^#?([a-z0-9_]+):`)
	exampleProse = regexp.MustCompile(`^#( \S|$)`)
	exampleURL   = regexp.MustCompile(`^#(database|redis|log_redis(_.*)?|handin_dir):`) // which stand in files too, or are of another log or place
)

// The example holds every key there is: as it stands, and with every example in
// it taken.
func TestConfigExample(t *testing.T) {
	example, err := os.ReadFile("../../deploy/lodge.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var found, full []string
	for line := range strings.Lines(string(example)) {
		if m := exampleLine.FindStringSubmatch(line); m != nil {
			found = append(found, m[1])
		}
		if bare, ok := strings.CutPrefix(line, "#"); ok && !exampleProse.MatchString(line) && !exampleURL.MatchString(line) {
			line = bare
		}
		full = append(full, line)
	}
	want := []string{"issuers"}
	for _, s := range settings {
		want = append(want, s.key)
	}
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("the example has the keys\n%v, want\n%v", found, want)
	}
	dir := write(t, map[string]string{
		"lodge.yaml": string(example), "full.yaml": strings.Join(full, ""),
		"redis.url": "redis://127.0.0.1:6379/0\n", "database.url": "postgres://lodge@127.0.0.1/lodge\n", "nats.creds": "creds\n",
		"example.secret": "secret\n", "mail.secret": "secret\n", "relay.secret": strings.Repeat("s", 32) + "\n", "issuers.pem": certificate(t), "store.pem": certificate(t),
		"s3.key":          "aws_access_key_id = ID\naws_secret_access_key = secret\n",
		"join-codes.yaml": "join_codes: [{group: physics-1, code: ABCDEFGHJKLMNPQRSTUVWXYZ}]\n",
	})
	if _, err := load(nil, env{}.lookup, filepath.Join(dir, "lodge.yaml")); err != nil {
		t.Errorf("as it stands: %v", err)
	}
	c, err := load(nil, env{}.lookup, filepath.Join(dir, "full.yaml"))
	if err != nil {
		t.Fatalf("with every example taken: %v", err)
	}
	defaults, err := load(with(nil), env{}.lookup, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != defaults.Listen || c.AssetsListen != defaults.AssetsListen || c.LogLevel != defaults.LogLevel {
		t.Errorf("its defaults are %s, %s, %v", c.Listen, c.AssetsListen, c.LogLevel)
	}
	if len(c.JWTSecret) != 32 || c.LoginLife != 12*time.Hour || c.LoginIdle != time.Hour || c.MessagePeriod != 7*24*time.Hour || c.Redis == "" || c.Database == "" ||
		c.MessageLog.Backend != logNATS || len(c.MessageLog.NATS.URLs) != 2 || c.MessageLog.NATS.CredentialsFile == "" || c.MessageLog.NATS.Replicas != 3 {
		t.Errorf("got %+v", c)
	}
	var listed struct{ Issuers []map[string]any }
	if err := yaml.Unmarshal([]byte(strings.Join(full, "")), &listed); err != nil || len(listed.Issuers) != 1 || len(listed.Issuers[0]) != len(issuerKeys) {
		t.Errorf("its issuer has not the %d keys of one: %v %v", len(issuerKeys), listed.Issuers, err)
	}
	if is := c.Issuers; len(is) != 1 || is[0].ClientSecret != "secret" || is[0].GroupsClaim != "groups" {
		t.Errorf("issuers %d", len(is))
	}
}
