package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"time"
)

// loginCookie is the login's cookie on plain http on loopback.
const loginCookie = "lodge-dev"

// shared keeps connections for calls of many people.
var shared = &http.Transport{MaxIdleConnsPerHost: 64}

// neighbours is how many people sign in from one address: gateways limit that.
const neighbours = 50

var (
	transportsMu sync.Mutex
	transports   = map[int]*http.Transport{} // guarded by transportsMu
)

// signInTransport returns the connections of the address that the person with a
// number is at: one on loopback, which is all of 127.0.0.0/8 on Linux.
func signInTransport(n int) *http.Transport {
	at := n / neighbours
	transportsMu.Lock()
	defer transportsMu.Unlock()
	if transports[at] == nil {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(at>>8), byte(at))}}
		transports[at] = &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 5 * time.Second, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp4", addr)
		}}
	}
	return transports[at]
}

// signIn signs somebody in at a gateway, through the issuer as a browser would,
// and returns the code that is their cookie.
func signIn(ctx context.Context, via *http.Transport, gatewayURL, name string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: via, Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), gatewayURL) && !strings.HasPrefix(r.URL.Path, "/callback/") {
			return http.ErrUseLastResponse // signed in; the page is of no interest
		}
		return nil
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, gatewayURL+"/login/dev?login_hint="+name, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection is used again
	_ = res.Body.Close()
	if res.StatusCode == http.StatusSeeOther {
		for _, cookie := range jar.Cookies(req.URL) {
			if cookie.Name == loginCookie {
				return cookie.Value, nil
			}
		}
	}
	return "", fmt.Errorf("%s was not signed in: %s", name, res.Status)
}
