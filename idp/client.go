package idp

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

const (
	maxBody   = 1 << 20 // bytes of a decompressed answer; see Options.MaxAnswer
	maxHeader = 64 << 10
)

var (
	errTooLarge = errors.New("answer is too large")
	errRedirect = errors.New("redirects are not followed")
)

// newClient returns the only way an issuer is ever contacted: within the time
// limit, without redirects or a proxy from the environment, up to MaxAnswer, and
// never at an address that is not for it, whatever its name resolves to.
// Connections are not kept: sign-ins are rare, and nothing is left to close.
func newClient(cfg IssuerConfig, opts Options) *http.Client {
	dialer := &net.Dialer{
		Timeout: opts.Timeout,
		// Control sees the address that was resolved, so a name cannot change
		// between the check and the connection (DNS rebinding).
		Control: func(_, address string, _ syscall.RawConn) error { return cfg.allow(address) },
	}
	return &http.Client{
		Timeout:       opts.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
		Transport: limited{max: opts.MaxAnswer, next: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: opts.RootCAs},
			TLSHandshakeTimeout:    opts.Timeout,
			ResponseHeaderTimeout:  opts.Timeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives:      true,
		}},
	}
}

// special are the ranges, besides those netip knows, that are not the public
// Internet (IANA special-purpose registries) or that carry an IPv4 address inside.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),   // shared address space
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("::/96"),           // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64, local use
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("fec0::/10"),       // site-local
}

// allow decides about a resolved "address:port".
func (cfg IssuerConfig) allow(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q is not an IP address", address)
	}
	ip := ap.Addr().Unmap().WithZone("")
	switch {
	case ip.IsLoopback():
		if cfg.Insecure || cfg.Private {
			return nil
		}
	case cfg.Insecure:
		return fmt.Errorf("address %s is not on this machine, but the issuer is insecure", ip)
	case ip.IsPrivate():
		if cfg.Private {
			return nil
		}
	case !ip.IsGlobalUnicast(): // link-local, where clouds keep their metadata; multicast; unspecified
		return fmt.Errorf("address %s cannot be an issuer's", ip)
	default:
		for _, p := range special {
			if p.Contains(ip) {
				return fmt.Errorf("address %s is not a public one", ip)
			}
		}
		return nil
	}
	return fmt.Errorf("address %s is private; an issuer in your own network needs the setting private", ip)
}

// loopback reports whether a host name means this machine by its very form.
func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// limited is a transport whose answers end with an error after so many bytes.
type limited struct {
	next http.RoundTripper
	max  int64
}

func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: l.max}
	return resp, nil
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	// One byte more than what is left shows whether there is more.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return int(b.left), errTooLarge
	}
	b.left -= int64(n)
	return n, err
}

// getJSON reads one JSON object from the issuer. Errors never hold what the
// answer said.
func getJSON(ctx context.Context, client *http.Client, url, bearer string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read in full, or given up
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", url, resp.StatusCode)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: not the JSON that was expected", url)
	}
	return nil
}

// retryAfter is what people are told; the issuer itself is tried again sooner.
const retryAfter = 30 * time.Second
