package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func deployed(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What is shipped beside the binary names variables and commands that exist.
func TestDeployNamesWhatExists(t *testing.T) {
	variable := regexp.MustCompile(`LODGE_[A-Z][A-Z_]*`)
	shell := regexp.MustCompile(`(?m)(?:^ {4}|bin/|-u lodge )lodge ([a-z]+)`)
	for _, name := range []string{"Dockerfile", "compose.yaml", "compose.nodes.yaml", "compose.relay.yaml", "lodge.service", "lodge-relay.service", "lodge-host.service", "lodge.example.yaml", "relay.example.yaml", "README.md", "../README.md"} {
		text := deployed(t, name)
		for _, v := range variable.FindAllString(text, -1) {
			if !slices.ContainsFunc(settings, func(s setting) bool { return environment(s.key) == v }) {
				t.Errorf("%s names %s, which sets nothing", name, v)
			}
		}
		for _, m := range shell.FindAllStringSubmatch(text, -1) {
			if !slices.ContainsFunc(commands, func(c command) bool { return c.name == m[1] }) {
				t.Errorf("%s runs %q, which is no command", name, m[0])
			}
		}
	}
}

// The operators' guide has every key, in its table, and no other.
func TestDeployGuideHasEveryKey(t *testing.T) {
	guide := deployed(t, "README.md")
	_, guide, _ = strings.Cut(guide, "\n## Configuration\n")
	guide, _, _ = strings.Cut(guide, "\n## ")
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(guide, -1) {
		listed = append(listed, m[1])
	}
	want := []string{"issuers"}
	for _, s := range settings {
		want = append(want, s.key)
	}
	slices.Sort(listed)
	slices.Sort(want)
	if !slices.Equal(listed, want) {
		t.Errorf("the table of deploy/README.md has the keys\n%v, want\n%v", listed, want)
	}
	for _, key := range issuerKeys {
		if !strings.Contains(guide, "`"+key+"`") {
			t.Errorf("deploy/README.md does not mention %s of an issuer", key)
		}
	}
}

// composition is the part of a Compose file that is judged here.
type composition struct {
	Services map[string]composed
	Networks map[string]struct{ Internal bool }
	Secrets  map[string]struct{ File string }
}

type composed struct {
	Ports       []string
	Environment map[string]string
	Secrets     []string
	Command     []string
	Volumes     []string
	Networks    []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	ReadOnly    bool                                  `yaml:"read_only"`
	CapDrop     []string                              `yaml:"cap_drop"`
}

// The Compose files publish on loopback alone, keep their secrets in files, let
// Redis forget nothing and nobody but gateways reach a store.
func TestDeployCompose(t *testing.T) {
	for file, want := range map[string]struct{ gateways, stores []string }{
		"compose.yaml":       {[]string{"lodge"}, []string{"redis"}},
		"compose.nodes.yaml": {[]string{"lodge1", "lodge2"}, []string{"postgres", "redis"}},
	} {
		t.Run(file, func(t *testing.T) {
			var c composition
			if err := yaml.Unmarshal([]byte(deployed(t, file)), &c); err != nil {
				t.Fatal(err)
			}
			composes(t, &c)
			published := map[string]bool{}
			for _, name := range want.gateways {
				gateway := c.Services[name]
				if len(gateway.Ports) != 2 || !gateway.ReadOnly || !slices.Equal(gateway.CapDrop, []string{"ALL"}) {
					t.Errorf("the gateway: %+v", gateway)
				}
				for _, once := range append(gateway.Ports, gateway.Volumes[0]) {
					host, _, _ := strings.Cut(strings.TrimPrefix(once, "127.0.0.1:"), ":")
					if published[host] {
						t.Errorf("two gateways have %s", host)
					}
					published[host] = true
				}
				for _, store := range want.stores {
					if gateway.DependsOn[store].Condition != "service_healthy" {
						t.Errorf("%s does not wait for %s", name, store)
					}
				}
			}
			for _, name := range want.stores {
				store := c.Services[name]
				if len(store.Ports) != 0 || len(store.Networks) != 1 || !c.Networks[store.Networks[0]].Internal {
					t.Errorf("others than Lodge reach %s: %+v", name, store)
				}
			}
			if len(c.Services) != len(want.gateways)+len(want.stores) {
				t.Errorf("there are %d services", len(c.Services))
			}
			if line := strings.Join(c.Services["redis"].Command, " "); !strings.Contains(line, "--appendonly yes") || !strings.Contains(line, "--maxmemory-policy noeviction") {
				t.Errorf("Redis runs as %s", line)
			}
		})
	}
}

// A relay on a machine of its own has no store beside it, and the port that its
// proxy's sample has.
func TestDeployComposeOfARelay(t *testing.T) {
	var c composition
	if err := yaml.Unmarshal([]byte(deployed(t, "compose.relay.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	composes(t, &c)
	relay := c.Services["relay"]
	if len(c.Services) != 1 || !relay.ReadOnly || !slices.Equal(relay.CapDrop, []string{"ALL"}) || !slices.Equal(relay.Command, []string{"relay", "--config", "/etc/lodge/relay.yaml"}) {
		t.Errorf("%+v", c.Services)
	}
	if !slices.Equal(relay.Ports, []string{"127.0.0.1:8080:8080"}) || !strings.Contains(deployed(t, "proxies/nginx-relay.conf"), "proxy_pass http://127.0.0.1:8080;") {
		t.Errorf("the proxy does not reach %v", relay.Ports)
	}
	for variable := range relay.Environment {
		key := strings.ToLower(strings.TrimPrefix(variable, "LODGE_"))
		if !takes(relayCommand, key) {
			t.Errorf("a relay does not take %s", key)
		}
	}
	if c.Secrets["redis_url"].File == "" || len(relay.Secrets) != 1 {
		t.Errorf("secrets: %v", relay.Secrets)
	}
}

// composes judges what holds of any service.
func composes(t *testing.T, c *composition) {
	t.Helper()
	for name, service := range c.Services {
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond loopback", name, port)
			}
		}
		for _, secret := range service.Secrets {
			if c.Secrets[secret].File == "" {
				t.Errorf("the secret %s of %s is in no file", secret, name)
			}
		}
		for variable, value := range service.Environment {
			if strings.Contains(value, "://") {
				t.Errorf("%s has the address %s in %s; addresses of stores hold passwords and come from files", name, value, variable)
			}
			file, is := strings.CutPrefix(value, "/run/secrets/")
			if is && !slices.Contains(service.Secrets, file) || strings.Contains(variable, "PASSWORD") && !is {
				t.Errorf("%s has %s in %s", name, value, variable)
			}
		}
	}
}
