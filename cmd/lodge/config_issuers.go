package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

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

	Rules []ruleFile `yaml:"rules"`
}

// issuerKeys are the keys of an issuer.
var issuerKeys = []string{"id", "name", "url", "client_id", "client_secret_file", "scopes", "groups_claim", "private", "insecure", "rules"}

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
		ID: f.ID, Name: f.Name, URL: f.URL, ClientID: f.ClientID, Scopes: f.Scopes, GroupsClaim: f.GroupsClaim, Private: f.Private, Insecure: f.Insecure,
	}
	var err error
	if issuer.Rules, err = rules(f.Rules); err != nil {
		problems = append(problems, inOneLine(err))
	}
	if f.ClientSecretFile != "" {
		secret, err := secretFile(source{dir: dir}.path(f.ClientSecretFile))
		if err != nil {
			problems = append(problems, "client_secret_file: "+err.Error())
		}
		issuer.ClientSecret = secret
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
