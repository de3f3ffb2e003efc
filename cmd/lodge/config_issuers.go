package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// issuerSettings are the settings that bound what all issuers may take or send.
var issuerSettings = []setting{
	{"issuer_timeout", "an issuer has so long for its part of one sign-in, refresh or sign-out (default 1500ms; below 2s, people learn within 2s that it is down)", lease(func(c *config) *time.Duration { return &c.IssuerLimits.Timeout }, 100*time.Millisecond, 10*time.Second)},
	{"issuer_skew", "an issuer's clock may be off by so much (default 60s, which is the most)", lease(func(c *config) *time.Duration { return &c.IssuerLimits.Skew }, time.Second, time.Minute)},
	{"issuer_fresh", "what an issuer publishes, its keys too, is read again after so long (default 1h)", lease(func(c *config) *time.Duration { return &c.IssuerLimits.Fresh }, time.Minute, 24*time.Hour)},
	{"issuer_refetch", "keys are not read again sooner than this because a token names an unknown one (default 10s)", lease(func(c *config) *time.Duration { return &c.IssuerLimits.Refetch }, time.Second, 10*time.Minute)},
	{"issuer_max_answer", "bytes that an issuer may answer with (default 1048576)", maxAnswer},
	{"issuer_ca_file", "PEM file of the certificate authorities that issuers are trusted by, instead of the system's", caFile},
}

func maxAnswer(c *config, from source) error {
	const least, most = 16 << 10, 16 << 20
	n, err := strconv.ParseInt(from.value, 10, 64)
	if err != nil || n < least || n > most {
		return fmt.Errorf("%q is not a number of bytes from %d to %d", from.value, least, most)
	}
	c.IssuerLimits.MaxAnswer = n
	return nil
}

func caFile(c *config, from source) (err error) {
	c.IssuerLimits.RootCAs, err = authorities(from.path(from.value))
	return err
}

// authorities reads the certificates of those that sign others.
func authorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", path)
	}
	return pool, nil
}

// issuerFile is an issuer as the file has it.
type issuerFile struct {
	ID               string   `yaml:"id"`
	Name             string   `yaml:"name"`
	URL              string   `yaml:"url"`
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"`
	Scopes           []string `yaml:"scopes"`
	Prompt           string   `yaml:"prompt"`
	GroupsClaim      string   `yaml:"groups_claim"`
	TrustEmail       bool     `yaml:"trust_email"`
	Private          bool     `yaml:"private"`
	Insecure         bool     `yaml:"insecure"`

	Rules []ruleFile `yaml:"rules"`
}

// issuerKeys are the keys of an issuer.
var issuerKeys = []string{"id", "name", "url", "client_id", "client_secret_file", "scopes", "prompt", "groups_claim", "trust_email", "private", "insecure", "rules"}

// readIssuers takes the issuers that a file lists and returns what is wrong with
// any of them.
func (c *config) readIssuers(path string, list *yaml.Node) (faults []error) {
	if list.Tag == "!!null" {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		return []error{fault{"issuers", fmt.Sprintf("%s line %d", path, list.Line), "it must be a list; begin each issuer with a hyphen"}}
	}
	seen := map[string]bool{}
	for i, node := range list.Content {
		issuer, problems := readIssuer(node, filepath.Dir(path))
		if len(problems) == 0 {
			// The rules are the relying party's own; it contacts nobody here.
			if _, err := idp.New([]idp.IssuerConfig{issuer}, lodge.SystemClock{}, idp.Options{}); err != nil {
				problems = append(problems, strings.TrimPrefix(inOneLine(err), "idp: "))
			}
		}
		if issuer.ID != "" && seen[issuer.ID] {
			problems = append(problems, fmt.Sprintf("the id %q is taken by an issuer above; each needs its own", issuer.ID))
		}
		seen[issuer.ID] = true
		for _, problem := range problems {
			faults = append(faults, fault{fmt.Sprintf("issuers[%d]", i), fmt.Sprintf("%s line %d", path, node.Line), problem})
		}
		c.Issuers = append(c.Issuers, issuer)
	}
	return faults
}

func readIssuer(node *yaml.Node, dir string) (issuer idp.IssuerConfig, problems []string) {
	if node.Kind != yaml.MappingNode {
		return issuer, []string{"it must be a map of keys to values"}
	}
	for key := range pairs(node) {
		if !slices.Contains(issuerKeys, key.Value) {
			problems = append(problems, fmt.Sprintf("there is no key %q; an issuer has %s", key.Value, strings.Join(issuerKeys, ", ")))
		}
	}
	var f issuerFile
	if err := node.Decode(&f); err != nil {
		return issuer, append(problems, inOneLine(err))
	}
	issuer = idp.IssuerConfig{
		ID: f.ID, Name: f.Name, URL: f.URL, ClientID: f.ClientID, Scopes: f.Scopes, Prompt: f.Prompt, GroupsClaim: f.GroupsClaim, TrustEmail: f.TrustEmail, Private: f.Private, Insecure: f.Insecure,
	}
	var err error
	if issuer.Rules, err = rules(f.Rules); err != nil {
		problems = append(problems, inOneLine(err))
	}
	if f.ClientSecretFile != "" {
		// Read now for its faults, and again each time the issuer wants it.
		path := source{dir: dir}.path(f.ClientSecretFile)
		issuer.Secret = func() (string, error) { return secretFile(path) }
		if issuer.ClientSecret, err = issuer.Secret(); err != nil {
			problems = append(problems, "client_secret_file: "+err.Error())
		}
	}
	return issuer, problems
}

// secretFile reads a secret, without the line break that editors leave.
func secretFile(path string) (string, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(body))
	if secret == "" {
		return "", errors.New(path + " is empty")
	}
	return secret, nil
}
