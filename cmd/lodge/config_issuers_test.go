package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/idp"
)

// certificate is one in PEM form.
func certificate(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// replace puts a new file in an old one's place, as an operator should.
func replace(t *testing.T, path, body string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestSec43_SecretsAreReadAgain(t *testing.T) {
	first, second := strings.Repeat("first", 8), strings.Repeat("second", 8)
	dir := write(t, map[string]string{
		"client.secret": "one\n", "relay.secret": first, "redis.url": "redis://:one@127.0.0.1:6379/0\n",
		"lodge.yaml": `
public_url: https://lab.example.org
assets_url: https://ui.example.org
data: d
jwt_secret_file: relay.secret
redis_file: redis.url
issuers: [{id: uni, url: "https://sso.example.org", client_id: lodge, client_secret_file: client.secret}]
`,
	})
	c, err := load(nil, env{}.lookup, filepath.Join(dir, "lodge.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	client, relay := filepath.Join(dir, "client.secret"), filepath.Join(dir, "relay.secret")
	want := func(what, wantClient, wantRelay string) {
		t.Helper()
		if got, err := c.Issuers[0].Secret(); err != nil || got != wantClient {
			t.Errorf("%s: the client's secret is not the file's (%v)", what, err)
		}
		if got, err := c.JWTSecretFresh(); err != nil || string(got) != wantRelay {
			t.Errorf("%s: the tokens' secret is not the file's (%v)", what, err)
		}
	}
	want("at the start", "one", first)
	replace(t, filepath.Join(dir, "redis.url"), "redis://:two@127.0.0.1:6379/0\n")
	if got, err := c.RedisFresh(); err != nil || got != "redis://:two@127.0.0.1:6379/0" {
		t.Errorf("the URL is not the file's (%v)", err)
	}
	replace(t, client, "two\n")
	replace(t, relay, second+"\n")
	want("replaced", "two", second)
	replace(t, client, " \n")
	replace(t, relay, "short")
	if got, err := c.Issuers[0].Secret(); err == nil {
		t.Errorf("an empty file gives %q", got)
	}
	if got, err := c.JWTSecretFresh(); err == nil {
		t.Errorf("a short secret gives %q", got)
	}
	for _, path := range []string{client, relay} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Issuers[0].Secret(); err == nil {
		t.Error("a file that is gone still has a secret")
	}
	replace(t, client, "three")
	replace(t, relay, first)
	want("back", "three", first)
}

func TestIssuerLimits(t *testing.T) {
	c, err := load(with(map[string]string{
		"issuer_timeout": "1s", "issuer_skew": "5s", "issuer_fresh": "10m", "issuer_refetch": "30s", "issuer_max_answer": "65536",
		"issuer_ca_file": filepath.Join(write(t, map[string]string{"ca.pem": certificate(t)}), "ca.pem"),
	}), env{}.lookup, "")
	if err != nil {
		t.Fatal(err)
	}
	roots := c.IssuerLimits.RootCAs
	c.IssuerLimits.RootCAs = nil
	if want := (idp.Options{Timeout: time.Second, Skew: 5 * time.Second, Fresh: 10 * time.Minute, Refetch: 30 * time.Second, MaxAnswer: 65536}); c.IssuerLimits != want || roots == nil {
		t.Errorf("limits %+v, want %+v", c.IssuerLimits, want)
	}
	for key, value := range map[string]string{
		"issuer_timeout": "11s", "issuer_skew": "61s", "issuer_fresh": "1s", "issuer_refetch": "0s", "issuer_max_answer": "1", "issuer_ca_file": "/dev/null",
	} {
		if _, err := load(with(map[string]string{key: value}), env{}.lookup, ""); err == nil || !strings.HasPrefix(err.Error(), key+" (") {
			t.Errorf("%s %s: %v", key, value, err)
		}
	}
}

func TestPromptOfAnIssuer(t *testing.T) {
	for prompt, good := range map[string]bool{"consent": true, "login": true, "none": false, "please": false} {
		file := "public_url: https://lab.example.org\nassets_url: https://ui.example.org\ndata: d\nissuers: [{id: uni, url: 'https://sso.example.org', client_id: lodge, prompt: " + prompt + "}]\n"
		c, err := load(nil, env{}.lookup, filepath.Join(write(t, map[string]string{"lodge.yaml": file}), "lodge.yaml"))
		if (err == nil) != good || good && c.Issuers[0].Prompt != prompt {
			t.Errorf("prompt %s: %v", prompt, err)
		}
	}
}
