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
	for _, name := range []string{"Dockerfile", "compose.yaml", "lodge.service", "lodge.example.yaml", "README.md", "../README.md"} {
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
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(guide, -1) {
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
	Services map[string]struct {
		Ports       []string
		Environment map[string]string
		Secrets     []string
		Command     []string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
	}
	Secrets map[string]struct{ File string }
}

// The Compose file publishes on loopback alone, keeps its secrets in files, and
// lets Redis forget nothing.
func TestDeployCompose(t *testing.T) {
	var c composition
	if err := yaml.Unmarshal([]byte(deployed(t, "compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
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
		}
	}
	gateway, redis := c.Services["lodge"], c.Services["redis"]
	if len(gateway.Ports) != 2 || !gateway.ReadOnly || !slices.Equal(gateway.CapDrop, []string{"ALL"}) {
		t.Errorf("the gateway: %+v", gateway)
	}
	if len(redis.Ports) != 0 {
		t.Errorf("Redis publishes %v", redis.Ports)
	}
	if line := strings.Join(redis.Command, " "); !strings.Contains(line, "--appendonly yes") || !strings.Contains(line, "--maxmemory-policy noeviction") {
		t.Errorf("Redis runs as %s", line)
	}
}
