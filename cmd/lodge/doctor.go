package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lodge-gateway/lodge/internal/storage/postgres"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
)

// A finding is what one check found; without a remedy, nothing is wrong.
type finding struct {
	Check   string `json:"check"`
	Level   string `json:"level"` // ok, warning or fault
	Finding string `json:"finding"`
	Remedy  string `json:"remedy,omitempty"`
}

// The levels of findings. Only a fault changes the exit status.
const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelFault   = "fault"
)

const (
	// checkLimit bounds one check.
	checkLimit = 5 * time.Second
	// skewLimit is how far clocks may be apart.
	skewLimit = 2 * time.Second
	// fewFiles and littleSpace are what is too little.
	fewFiles    = 16384
	littleSpace = 1 << 30
)

// doctor looks at what a node needs, and says of each thing that is wrong what to
// do about it. It changes nothing but for a small hand-in, which it removes again, and
// may run beside the node.
func (a *app) doctor(ctx context.Context, args []string) error {
	fs := a.flags("doctor", "doctor --config FILE [--relay] [--json] [FLAGS]")
	asJSON := fs.Bool("json", false, "print JSON")
	alone := fs.Bool("relay", false, "the configuration is of a relay on its own, of lodge relay")
	given, file := settingFlags(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	var found []finding
	read := load
	if *alone {
		read = loadRelay
	}
	cfg, err := read(given, a.lookup, *file)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			found = append(found, finding{"configuration", levelFault, line, "mend it where it says"})
		}
	} else {
		found = append(found, finding{"configuration", levelOK, "every key is good", ""})
		found = append(found, examine(ctx, cfg)...)
	}
	if *asJSON {
		err = json.NewEncoder(a.out).Encode(map[string]any{"findings": found})
	} else {
		err = printFindings(a.out, found)
	}
	if err != nil {
		return err
	}
	faults := 0
	for _, f := range found {
		if f.Level == levelFault {
			faults++
		}
	}
	if faults > 0 {
		return fmt.Errorf("%d faults", faults)
	}
	return nil
}

func printFindings(w io.Writer, found []finding) error {
	for _, f := range found {
		if _, err := fmt.Fprintf(w, "%-8s %s: %s\n", f.Level, f.Check, f.Finding); err != nil {
			return err
		}
		if f.Remedy != "" {
			if _, err := fmt.Fprintf(w, "         %s\n", f.Remedy); err != nil {
				return err
			}
		}
	}
	return nil
}

// examine makes the checks that a good configuration allows.
func examine(ctx context.Context, cfg config) []finding {
	checks := []func(context.Context, config) []finding{examineFiles, examineRedis, examineDatabase, examineHandIns, examinePublic, examineIssuers, examineNode, examineNodes}
	var found []finding
	for _, check := range checks {
		limited, cancel := context.WithTimeout(ctx, checkLimit)
		found = append(found, check(limited, cfg)...)
		cancel()
	}
	return found
}

// judged is a finding that is a fault, or of the level, when something is wrong.
func judged(check string, wrong bool, level, said, remedy string) finding {
	if !wrong {
		return finding{check, levelOK, said, ""}
	}
	return finding{check, level, said, remedy}
}

func examineFiles(_ context.Context, cfg config) []finding {
	var found []finding
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		found = append(found, judged("files", files.Cur < fewFiles, levelWarning, fmt.Sprintf("%d descriptors may be open, and each connection is one", files.Cur),
			"raise LimitNOFILE in the service, or ulimit -n; this is the limit of the shell that runs the doctor"))
	}
	var disk syscall.Statfs_t
	err := syscall.Statfs(cfg.Data, &disk)
	if err != nil {
		return append(found, finding{"data", levelFault, cfg.Data + " cannot be looked at: " + err.Error(), "make the directory, owned by the user that Lodge runs as, with mode 0700"})
	}
	free := disk.Bavail * uint64(disk.Bsize)
	found = append(found, judged("disk", free < littleSpace, levelFault, fmt.Sprintf("%d MiB are free in %s", free>>20, cfg.Data), "make room: a full disk takes no bookings and no messages"))
	if key, err := os.Stat(filepath.Join(cfg.Data, rootKeyFile)); err == nil {
		found = append(found, judged("root key", key.Mode().Perm()&0o077 != 0, levelFault, fmt.Sprintf("%s has mode %04o", rootKeyFile, key.Mode().Perm()), "chmod 0600: whoever reads it reads everything"))
	}
	return found
}

func skew(check string, clock, asked time.Time) finding {
	by := clock.Sub(asked)
	return judged(check, by.Abs() > skewLimit, levelFault, fmt.Sprintf("its clock is %s from ours", by.Round(time.Millisecond)), "let NTP set the clocks of all machines: sessions and tickets end by them")
}

func examineRedis(ctx context.Context, cfg config) []finding {
	if cfg.Redis == "" {
		return nil
	}
	at, err := redisAt(cfg.Redis, cfg.RedisFresh, nil)
	var facts redis.Facts
	if err == nil {
		facts, err = redis.Inspect(ctx, at)
	}
	if err != nil {
		return []finding{{"redis", levelFault, inOneLine(err), "start Redis, or mend its URL; its user needs INFO and TIME"}}
	}
	return []finding{
		{"redis", levelOK, "version " + facts.Version + " answers; replicas: " + facts.Replicas, ""},
		judged("redis memory", facts.EvictionPolicy != "noeviction", levelFault, "maxmemory-policy is "+facts.EvictionPolicy, "set it to noeviction: a session that is forgotten signs somebody out, or lets a revoked one in until the journal is applied"),
		judged("redis disk", !facts.AppendOnly, levelWarning, fmt.Sprintf("appendonly is %t", facts.AppendOnly), "set appendonly yes and appendfsync everysec, or people sign in again after a restart of Redis"),
		skew("redis clock", facts.Clock, facts.Asked),
	}
}

func examineDatabase(ctx context.Context, cfg config) []finding {
	if cfg.Database == "" {
		return nil
	}
	facts, err := postgres.Inspect(ctx, cfg.Database)
	if err != nil {
		return []finding{{"database", levelFault, inOneLine(err), "start PostgreSQL, or mend its URL"}}
	}
	const lost = "set it to on: with it off, what was answered is lost when the machine fails"
	return []finding{
		judged("database", facts.Version < 130000, levelFault, fmt.Sprintf("version %d answers", facts.Version/10000), "use PostgreSQL 13 or newer"),
		judged("database fsync", facts.Fsync != "on", levelFault, "fsync is "+facts.Fsync, lost),
		judged("database pages", facts.FullPageWrites != "on", levelFault, "full_page_writes is "+facts.FullPageWrites, lost),
		judged("database commit", facts.SynchronousCommit == "off", levelFault, "synchronous_commit is "+facts.SynchronousCommit, lost),
		skew("database clock", facts.Clock, facts.Asked),
	}
}

// fetched is a small document, and when its server says that it was sent.
type fetched struct {
	status int
	body   []byte
	date   string
}

// fetch reads a small document, with certificates verified, by the given
// authorities if there are any, and no redirects.
func fetch(ctx context.Context, authorities *x509.CertPool, url string) (got fetched, err error) {
	transport := http.DefaultTransport.(*http.Transport).Clone() // it is one
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return got, err
	}
	res, err := client.Do(req)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	got.status, got.date = res.StatusCode, res.Header.Get("Date")
	got.body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return got, err
}

func examinePublic(ctx context.Context, cfg config) []finding {
	urls := []string{cfg.PublicURL}
	if strings.HasPrefix(cfg.RelayURL, "http") {
		urls = append(urls, cfg.RelayURL)
	}
	var found []finding
	for _, url := range urls {
		got, err := fetch(ctx, nil, url+"/healthz")
		said := fmt.Sprintf("%s/healthz answers %d", url, got.status)
		if err != nil {
			said = inOneLine(err)
		}
		found = append(found, judged("address", err != nil || got.status != http.StatusOK, levelWarning, said, "look at the proxy, its certificate and the name; and whether Lodge runs"))
	}
	return found
}

func examineIssuers(ctx context.Context, cfg config) []finding {
	var found []finding
	for _, one := range cfg.Issuers {
		var document struct {
			Issuer string `json:"issuer"`
		}
		got, err := fetch(ctx, cfg.IssuerLimits.RootCAs, strings.TrimSuffix(one.URL, "/")+"/.well-known/openid-configuration")
		if err == nil && got.status == http.StatusOK {
			err = json.Unmarshal(got.body, &document)
		}
		said := "its document names " + document.Issuer
		if err != nil || got.status != http.StatusOK {
			said = fmt.Sprintf("discovery answers %d, %v", got.status, err)
		}
		found = append(found, judged("issuer "+one.ID, err != nil || document.Issuer != one.URL, levelFault, said,
			"url of the issuer is to be what its discovery document names, reached from this machine; its certificate by the authorities in issuer_ca_file, if that is set"))
	}
	return found
}
