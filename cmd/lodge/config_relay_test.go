package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRelayConfiguration(t *testing.T) {
	const whole = "public_url: https://lab.example\nassets_url: https://ui.lab.example\nrelay_url: https://relay1.lab.example\nredis: redis://h\ndata: d\n"
	for _, tt := range []struct{ name, text, want string }{
		{"whole", whole + "relay_lease: 4s\n", ""},
		{"nothing", "", "public_url (not set)"},
		{"no url", strings.Replace(whole, "relay_url: https://relay1.lab.example\n", "", 1), "relay_url (not set)"},
		{"no redis", strings.Replace(whole, "redis: redis://h\n", "", 1), "redis (not set)"},
		{"elsewhere", strings.Replace(whole, "https://relay1.lab.example", "elsewhere", 1), "that is for a gateway"},
		{"a database", whole + "database: postgres://h/lodge\n", "database (FILE line 6): it is for lodge serve"},
		{"issuers", whole + "issuers: [{id: dev, name: D, url: https://issuer.example, client_id: lodge}]\n", "signs nobody in"},
		{"a lease too long", whole + "relay_lease: 9s\n", "relay_lease (FILE line 6): 9s is out of bounds"},
		{"plain http", strings.Replace(whole, "https://relay1", "http://relay1", 1), "its scheme is http"},
		{"unknown", whole + "colour: red\n", "there is no such key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "relay.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			// What a gateway beside it has in its environment is not for it.
			c, err := loadRelay(nil, env{"LODGE_DATABASE": "postgres://h/lodge", "LODGE_LOG": "postgres"}.lookup, file)
			switch want := strings.ReplaceAll(tt.want, "FILE", file); {
			case want == "" && (err != nil || c.RelayLease != 4*time.Second || c.Database != ""):
				t.Errorf("%+v, %v", c, err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestRelayURLOfAGateway(t *testing.T) {
	const whole = "public_url: https://lab.example\nassets_url: https://ui.lab.example\ndata: d\n"
	for text, want := range map[string]string{
		"redis: redis://h\nrelay_url: https://RELAY1.lab.example:443/\n": "",
		"redis: redis://h\nrelay_url: elsewhere\n":                       "",
		"relay_url: https://relay1.lab.example\n":                        "redis (not set)",
		"relay_lease: 4s\n":                   "it is for several nodes",
		"redis: redis://h\nrelay_url: here\n": "is not an origin",
	} {
		file := filepath.Join(t.TempDir(), "lodge.yaml")
		if err := os.WriteFile(file, []byte(whole+text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := load(nil, env{}.lookup, file)
		switch {
		case want == "" && (err != nil || c.RelayURL != "https://relay1.lab.example" && c.RelayURL != "elsewhere"):
			t.Errorf("%s: %q, %v", text, c.RelayURL, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// The sample of a relay's configuration has every key, and is good as it is.
func TestDeployRelayExample(t *testing.T) {
	text := deployed(t, "relay.example.yaml")
	for _, key := range relaySettings {
		if !strings.Contains(text, "\n"+key+":") && !strings.Contains(text, "\n#"+key+":") {
			t.Errorf("relay.example.yaml does not have %s", key)
		}
	}
	dir := t.TempDir()
	for name, body := range map[string]string{"relay.yaml": text, "redis.url": "redis://h\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := loadRelay(nil, env{}.lookup, filepath.Join(dir, "relay.yaml")); err != nil {
		t.Error(err)
	}
}

// Practable's relay bound all interfaces, with no way to choose: here each listener
// is on loopback unless it is told otherwise, and only there when it is.
func TestCompatFaultListensWhereItIsTold(t *testing.T) {
	const gatewayOnly = "public_url: https://lab.example\nassets_url: https://ui.lab.example\ndata: d\n"
	const relayOnly = gatewayOnly + "relay_url: https://relay1.lab.example\nredis: redis://h\n"
	for _, tt := range []struct {
		text, listen, metrics string
		load                  func(map[string]string, func(string) (string, bool), string) (config, error)
	}{
		{gatewayOnly, "127.0.0.1:8080", "", load},
		{gatewayOnly + "listen: 192.0.2.7:443\nmetrics_listen: 127.0.0.1:9000\n", "192.0.2.7:443", "127.0.0.1:9000", load},
		{relayOnly, "127.0.0.1:8080", "", loadRelay},
		{relayOnly + "listen: '[2001:db8::1]:443'\n", "[2001:db8::1]:443", "", loadRelay},
	} {
		file := filepath.Join(t.TempDir(), "lodge.yaml")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := tt.load(nil, env{}.lookup, file)
		if err != nil || c.Listen != tt.listen || c.MetricsListen != tt.metrics || !strings.HasPrefix(c.AssetsListen, "127.0.0.1:") {
			t.Errorf("%s: %q, %q, %q, %v", tt.text, c.Listen, c.AssetsListen, c.MetricsListen, err)
		}
	}
}

// With how many a booking is shared; nobody is another number than none given.
func TestMaxPartners(t *testing.T) {
	const whole = "public_url: https://lab.example\nassets_url: https://ui.lab.example\ndata: d\n"
	for value, want := range map[string]int{"": 0, "3": 3, "0": -1, "-1": 1000, "101": 1000, "few": 1000} {
		text := whole
		if value != "" {
			text += "max_partners: " + value + "\n"
		}
		file := filepath.Join(t.TempDir(), "lodge.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := load(nil, env{}.lookup, file)
		if (err != nil) != (want == 1000) || err == nil && c.MaxPartners != want {
			t.Errorf("%q: %d, %v", value, c.MaxPartners, err)
		}
	}
}
