package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// The functions here read one value each. What they return says what is wrong
// and what would be right; load adds the key and where the value stands.

func address(field func(*config) *string) func(*config, source) error {
	return func(c *config, from source) error {
		_, port, err := net.SplitHostPort(from.value)
		if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
			return fmt.Errorf("%q is not an address; write it like 127.0.0.1:8080", from.value)
		}
		*field(c) = from.value
		return nil
	}
}

func directory(field func(*config) *string) func(*config, source) error {
	return func(c *config, from source) error {
		if from.value == "" {
			return errors.New("it is empty; name a directory, such as /var/lib/lodge")
		}
		*field(c) = from.path(from.value)
		return nil
	}
}

func origin(field func(*config) *string) func(*config, source) error {
	return func(c *config, from source) (err error) {
		*field(c), err = parseOrigin(from.value)
		return err
	}
}

// parseOrigin brings an origin into the form in which browsers send it: scheme
// and host in lower case, no slash, no port that the scheme implies.
func parseOrigin(v string) (string, error) {
	u, err := url.Parse(strings.ToLower(v))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
		(u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is not an origin; write scheme and host alone, like https://lab.example.org", v)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return "", errors.New("its scheme is http; use https: plain http is for loopback only, where no cookie or code crosses a network")
	}
	if implied := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; strings.HasSuffix(u.Host, implied) {
		u.Host = strings.TrimSuffix(u.Host, implied)
	}
	return u.Scheme + "://" + u.Host, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

func origins(c *config, from source) error {
	c.UIOrigins = nil
	var faults []error
	for _, one := range commaList(from.value) {
		o, err := parseOrigin(one)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		c.UIOrigins = append(c.UIOrigins, o)
	}
	return errors.Join(faults...)
}

func prefixes(c *config, from source) error {
	c.TrustedProxies = nil
	for _, one := range commaList(from.value) {
		prefix, err := netip.ParsePrefix(one)
		if err != nil {
			addr, err := netip.ParseAddr(one)
			if err != nil {
				return fmt.Errorf("%q is neither an address nor a CIDR range; write it like 10.0.0.7 or 10.0.0.0/24", one)
			}
			prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix)
	}
	return nil
}

func zone(c *config, from source) error {
	place, err := time.LoadLocation(from.value)
	if err != nil || from.value == "" || from.value == "Local" {
		return fmt.Errorf("%q is no time zone; write its name, like Europe/London or UTC", from.value)
	}
	c.Zone = place
	return nil
}

func commaList(v string) []string {
	var out []string
	for one := range strings.SplitSeq(v, ",") {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, one)
		}
	}
	return out
}

func number(field func(*config) *int, largest int) func(*config, source) error {
	return func(c *config, from source) error {
		n, err := strconv.Atoi(from.value)
		if err != nil || n < 0 || n > largest {
			return fmt.Errorf("%q is not a number from 0 to %d", from.value, largest)
		}
		*field(c) = n
		return nil
	}
}

// limit is a number that bounds something: one at least, for what is never to be
// done has no limit but a right.
func limit(field func(*config) *int) func(*config, source) error {
	const most = 1_000_000
	return func(c *config, from source) error {
		n, err := strconv.Atoi(from.value)
		if err != nil || n < 1 || n > most {
			return fmt.Errorf("%q is not a number from 1 to %d", from.value, most)
		}
		*field(c) = n
		return nil
	}
}

func duration(field func(*config) *time.Duration, longest time.Duration) func(*config, source) error {
	return func(c *config, from source) error {
		d, err := time.ParseDuration(from.value)
		switch {
		case err != nil:
			return fmt.Errorf("%q is not a duration; write it like 90m or 12h", from.value)
		case d <= 0 || d > longest:
			return fmt.Errorf("%s is out of bounds; it is longer than nothing and at most %gh", from.value, longest.Hours())
		}
		*field(c) = d
		return nil
	}
}

// retention is a duration from a day to a hundred years, or nothing: what is kept
// without end.
func retention(field func(*config) *time.Duration) func(*config, source) error {
	const day, longest = 24 * time.Hour, 100 * 365 * 24 * time.Hour
	return func(c *config, from source) error {
		d, err := time.ParseDuration(from.value)
		switch {
		case err != nil:
			return fmt.Errorf("%q is not a duration; write it like 2160h", from.value)
		case d != 0 && (d < day || d > longest):
			return fmt.Errorf("%s is out of bounds; it is at least %gh and at most %gh, or 0s to keep everything", from.value, day.Hours(), longest.Hours())
		}
		*field(c) = d
		return nil
	}
}

func referenceLength(c *config, from source) error {
	if from.value != "6" && from.value != "8" {
		return fmt.Errorf("%q is neither 6 nor 8", from.value)
	}
	c.Reference = int(from.value[0] - '0')
	return nil
}

// selfErasure says whether people may erase themselves.
func selfErasure(c *config, from source) error {
	if from.value != "allowed" && from.value != "refused" {
		return fmt.Errorf("%q is neither allowed nor refused", from.value)
	}
	c.NoSelfErasure = from.value == "refused"
	return nil
}

// lease is a duration within seconds: what it bounds is for whom a right was
// taken back.
func lease(field func(*config) *time.Duration, shortest, longest time.Duration) func(*config, source) error {
	return func(c *config, from source) error {
		d, err := time.ParseDuration(from.value)
		switch {
		case err != nil:
			return fmt.Errorf("%q is not a duration; write it like 5s", from.value)
		case d < shortest || d > longest:
			return fmt.Errorf("%s is out of bounds; it is at least %s and at most %s", from.value, shortest, longest)
		}
		*field(c) = d
		return nil
	}
}

func logLevel(c *config, from source) error {
	if err := c.LogLevel.UnmarshalText([]byte(from.value)); err != nil {
		return fmt.Errorf("%q is not a level; write debug, info, warn or error", from.value)
	}
	return nil
}

// jwtSecret reads what another booking system signs its tokens with, now and each
// time one comes.
func jwtSecret(c *config, from source) error {
	c.JWTSecretFresh = func() ([]byte, error) {
		secret, err := secretFile(from.path(from.value))
		if err != nil {
			return nil, err
		}
		if len(secret) < minJWTSecret {
			return nil, fmt.Errorf("the secret has %d bytes; HS256 needs %d at least, so let the booking system use a longer one", len(secret), minJWTSecret)
		}
		return []byte(secret), nil
	}
	var err error
	c.JWTSecret, err = c.JWTSecretFresh()
	return err
}

// joinCodesFile is a file that can be read now; what it holds may change later.
func joinCodesFile(c *config, from source) error {
	c.JoinCodesFile = from.path(from.value)
	f, err := os.Open(c.JoinCodesFile)
	if err != nil {
		return err
	}
	_, err = idp.ReadJoinCodes(f, lodge.DefaultTenant)
	return errors.Join(err, f.Close())
}

// minJWTSecret is what HS256 needs (RFC 7518 section 3.2).
const minJWTSecret = 32

// path is a file name that stands in a configuration file, which is taken from
// where that file is.
func (s source) path(name string) string {
	if s.dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}
