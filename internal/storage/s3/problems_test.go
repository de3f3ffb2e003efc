package s3_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lodge-gateway/lodge/internal/s3test"
	"github.com/lodge-gateway/lodge/internal/storage/s3"
	"github.com/lodge-gateway/lodge/messaging/handin"
)

// problemOf is what keeps a store from being used, which all that is asked of it says
// alike, and none of it the key.
func problemOf(t *testing.T, s *s3.Store) *s3.Problem {
	t.Helper()
	_, reading := s.Open(t.Context(), "t/a")
	var first *s3.Problem
	for what, err := range map[string]error{"start": s.Ping(t.Context()), "write": put(t.Context(), s, "t/a", []byte("x")), "read": reading, "remove": s.Remove(t.Context(), "t/a"), "doctor": handin.Probe(t.Context(), s)} {
		problem, ok := errors.AsType[*s3.Problem](err)
		if !ok || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		unavailable(t, what, err)
		if strings.Contains(problem.Error(), s3test.SecretKey) || strings.Contains(problem.Error(), "\n") {
			t.Errorf("%s: %v", what, problem)
		}
		first = problem
	}
	if first == nil {
		t.FailNow()
	}
	return first
}

// Whatever is wrong with the setting is one sentence, and what to do about it.
func TestProblemsOfARealStore(t *testing.T) {
	t.Parallel()
	plain, secure := s3test.Start(t), s3test.StartTLS(t)
	dead := s3test.Start(t)
	dead.Kill9()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for name, tt := range map[string]struct {
		url          string
		key          func() (s3.Key, error)
		says, remedy string
		lasting      bool
	}{
		"a key nobody knows":             {plain.URL(), func() (s3.Key, error) { return s3.Key{ID: "NOBODY", Secret: s3test.SecretKey}, nil }, "does not take the key", "handin_s3_key_file", true},
		"a wrong secret":                 {plain.URL(), func() (s3.Key, error) { return s3.Key{ID: s3test.KeyID, Secret: "wrong"}, nil }, "does not take the key", "handin_s3_key_file", true},
		"no key":                         {plain.URL(), func() (s3.Key, error) { return s3.Key{}, errors.New("no such file") }, "no key", "handin_s3_key_file", true},
		"no bucket":                      {strings.Replace(plain.URL(), s3test.Bucket, "other-bucket", 1), key, `no bucket "other-bucket"`, "handin_s3", true},
		"nobody there":                   {dead.URL(), key, "does not answer", "see whether it runs", false},
		"a web server":                   {web.URL + "/bucket", key, "in another way", "handin_s3", false},
		"an authority that nobody knows": {secure.URL(), key, "no certificate that can be trusted", "handin_s3_ca_file", true},
		"no TLS":                         {strings.Replace(plain.URL(), "http:", "https:", 1), key, "no certificate", "", true},
		"TLS, and plain is sent":         {strings.Replace(secure.URL(), "https:", "http:", 1), key, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t, tt.url)
			c.Key = tt.key
			p := problemOf(t, open(t, c))
			if !strings.Contains(p.Says, tt.says) || !strings.Contains(p.Remedy, tt.remedy) || p.Remedy == "" || p.Lasting != tt.lasting && tt.says != "" {
				t.Errorf("%+v", p)
			}
		})
	}
}

// answers has every request answered so, but the first ones otherwise.
func answers(t *testing.T, status int, code string, before ...int) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := int(asked.Add(1))
		status := status
		if n <= len(before) {
			status = before[n-1]
		}
		w.Header().Set("Content-Type", "application/xml")
		w.Header().Set("ETag", `"e"`)
		w.WriteHeader(status)
		if status != http.StatusOK {
			fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>m</Message><Region>eu-west-9</Region><RequestId>R1</RequestId></Error>", code)
		}
	}))
	t.Cleanup(server.Close)
	return server, &asked
}

func TestProblemsThatAStoreNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status  int
		code    string
		says    string
		lasting bool
		asked   int64
	}{
		{403, "AccessDenied", "may not do this", true, 1},
		{403, "SignatureDoesNotMatch", "does not take the key", true, 1},
		{400, "ExpiredToken", "does not take the key", true, 1},
		{403, "RequestTimeTooSkewed", "clock", true, 1},
		{400, "AuthorizationHeaderMalformed", `region "eu-west-9"`, true, 1},
		{301, "PermanentRedirect", `region "eu-west-9"`, true, 1},
		{507, "XMinioStorageFull", "full", true, 1},
		{403, "QuotaExceeded", "full", true, 1},
		{503, "SlowDown", "at the moment", false, 3},
		{500, "InternalError", "at the moment", false, 3},
		{429, "TooManyRequests", "at the moment", false, 3},
		{501, "NotImplemented", "at the moment", false, 1},
		{400, "InvalidRequest", "refuses", false, 1},
	} {
		t.Run(tt.code, func(t *testing.T) {
			t.Parallel()
			server, asked := answers(t, tt.status, tt.code)
			err := put(t.Context(), open(t, config(t, server.URL+"/bucket")), "t/a", []byte("x"))
			p, ok := errors.AsType[*s3.Problem](err)
			if !ok || !strings.Contains(p.Says, tt.says) || p.Remedy == "" || p.Lasting != tt.lasting || asked.Load() != tt.asked {
				t.Errorf("%v, %+v, asked %d times", err, p, asked.Load())
			}
			unavailable(t, tt.code, err)
			if !strings.Contains(err.Error(), tt.code) || !strings.Contains(err.Error(), "R1") {
				t.Errorf("%v does not say what the store's operator looks for", err)
			}
		})
	}
}

// A store that is busy for a moment is asked again.
func TestABusyStoreIsAskedAgain(t *testing.T) {
	t.Parallel()
	server, asked := answers(t, http.StatusOK, "SlowDown", http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	if err := put(t.Context(), open(t, config(t, server.URL+"/bucket")), "t/a", []byte("x")); err != nil || asked.Load() != 3 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func TestTLSByAnAuthorityOfItsOwn(t *testing.T) {
	t.Parallel()
	server := s3test.StartTLS(t)
	pem, err := os.ReadFile(server.Authority())
	if err != nil {
		t.Fatal(err)
	}
	c := config(t, server.URL())
	c.Authorities = x509.NewCertPool()
	c.Authorities.AppendCertsFromPEM(pem)
	s := open(t, c)
	if err := errors.Join(handin.Probe(t.Context(), s), put(t.Context(), s, "t/long", long)); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t.Context(), s, "t/long"); err != nil || len(got) != len(long) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A key is changed while Lodge runs, as the file is: without a restart.
func TestSec43_TheKeyIsReadAgain(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	c := config(t, server.URL())
	var now atomic.Pointer[s3.Key]
	now.Store(&s3.Key{ID: "OLD", Secret: "old"})
	c.Key = func() (s3.Key, error) { return *now.Load(), nil }
	s := open(t, c)
	if s.Ping(t.Context()) == nil {
		t.Error("the old key is taken")
	}
	now.Store(&s3.Key{ID: s3test.KeyID, Secret: s3test.SecretKey})
	if err := handin.Probe(t.Context(), s); err != nil {
		t.Error(err)
	}
}
