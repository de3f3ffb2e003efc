package s3

import (
	"strings"
	"testing"
	"time"
)

func TestParsePlace(t *testing.T) {
	for text, want := range map[string]Place{
		"https://s3.eu-central-1.amazonaws.com/lab":       {"s3.eu-central-1.amazonaws.com", true, "lab", ""},
		"https://S3.Example.org:9000/lab/":                {"s3.example.org:9000", true, "lab", ""},
		"https://s3.example.org/lab/lodge/Hand_ins-1":     {"s3.example.org", true, "lab", "lodge/Hand_ins-1/"},
		"http://127.0.0.1:9000/lab.bucket-2/p":            {"127.0.0.1:9000", false, "lab.bucket-2", "p/"},
		"http://[::1]:9000/lab":                           {"[::1]:9000", false, "lab", ""},
		"https://account.r2.cloudflarestorage.com/lab/p/": {"account.r2.cloudflarestorage.com", true, "lab", "p/"},
	} {
		if got, err := ParsePlace(text); got != want || err != nil {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"": "no URL", "lab": "no URL", "s3://lab/prefix": "names no host", "ftp://host/lab": "no URL", "https://host": "name of a bucket", "https:///lab": "no URL",
		"https://id:canary@host/lab": "file of its own", "https://host/lab?x": "no URL", "https://host/lab?": "no URL", "https://host/lab#x": "no URL", "https://host/La": "name of a bucket",
		"https://host/UPPER": "name of a bucket", "https://host/a b": "no URL", "https://host/lab/a b": "no URL", "https://host/lab/../x": "prefix", "https://host/lab//x": "prefix", "https://host/lab/ä": "no URL",
		"https://lab.s3.eu-central-1.amazonaws.com/prefix": "before the host", "https://host/lab/%2e%2e": "no URL", "https://host:x/lab": "no URL",
	} {
		if got, err := ParsePlace(text); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzParsePlace(f *testing.F) {
	for _, s := range []string{"https://s3.example.org/lab/p", "http://[::1]:9000/lab", "s3://x/y", "https://u:p@h/b", "https://h/b/..%2f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePlace(text)
		if err != nil {
			return
		}
		if again, err := ParsePlace(p.String()); err != nil || again != p {
			t.Errorf("%q is %+v, and that written again %+v, %v", text, p, again, err)
		}
		if p.Prefix != "" && !strings.HasSuffix(p.Prefix, "/") || strings.Contains("/"+p.Prefix, "/../") || strings.HasPrefix(p.Prefix, "/") {
			t.Errorf("%q has the prefix %q", text, p.Prefix)
		}
	})
}

func TestPlacesInANetwork(t *testing.T) {
	for text, loopback := range map[string]bool{"http://127.0.0.1:9000/lab": true, "http://[::1]/lab": true, "http://localhost:9000/lab": true, "http://minio:9000/lab": false, "http://10.0.0.7/lab": false} {
		if p, err := ParsePlace(text); err != nil || p.Loopback() != loopback {
			t.Errorf("%s: %t, %v", text, p.Loopback(), err)
		}
	}
	for host, want := range map[string]string{"s3.eu-central-1.amazonaws.com": "eu-central-1", "s3.amazonaws.com": "us-east-1", "minio.example.org:9000": "us-east-1"} {
		if got := (Place{Host: host}).region(""); got != want {
			t.Errorf("%s: %s", host, got)
		}
		if got := (Place{Host: host}).region("garage"); got != "garage" {
			t.Errorf("%s: %s", host, got)
		}
	}
}

func TestParseKey(t *testing.T) {
	for text, want := range map[string]Key{
		"aws_access_key_id = ID\naws_secret_access_key = se/cr+et=\n":                                           {"ID", "se/cr+et=", ""},
		"# Lodge's\n\n[default]\r\nregion = x\r\nAWS_ACCESS_KEY_ID=ID\r\naws_secret_access_key=s\r\n":           {"ID", "s", ""},
		"[lodge]\naws_access_key_id=ID\naws_secret_access_key=s\naws_session_token = token\n; the end\n":        {"ID", "s", "token"},
		"aws_access_key_id=ID\naws_secret_access_key=s\nendpoint_url = https://s3.example.org/\nservices = a b": {"ID", "s", ""},
	} {
		if got, err := ParseKey(text); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"": "needs the lines", "canary": "line 1", "aws_access_key_id = ID": "needs the lines", "aws_secret_access_key = canary": "needs the lines", "aws_access_key_id = a\naws_access_key_id = canary": "line 2",
		"[a]\naws_access_key_id=ID\naws_secret_access_key=canary\n[b]": "second profile", "aws_secret_access_key = can ary": "line 1", "aws_secret_access_key = canary\x01": "line 1",
		"ID:canary": "line 1", "aws_access_key_id=\naws_secret_access_key=canary": "needs the lines",
	} {
		if got, err := ParseKey(text); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "can") || got != (Key{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"aws_access_key_id = ID\naws_secret_access_key = s\n", "[x]\nID:s", "=\n=", "#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if (err == nil) == (k.ID == "" || k.Secret == "") || strings.ContainsAny(k.ID+k.Secret+k.Session, "\r\n\x00") {
			t.Errorf("%q: %+v, %v", text, k, err)
		}
	})
}

// The name of the bucket stands where it is told to, or where it is usual.
func TestStyles(t *testing.T) {
	for _, tt := range []struct {
		host   string
		byHost bool
		byPath bool
		begins string
	}{
		{"s3.eu-central-1.amazonaws.com", false, false, "https://lab.s3."},
		{"s3.eu-central-1.amazonaws.com", false, true, "https://s3.dualstack.eu-central-1.amazonaws.com/lab/p/t/a?"},
		{"minio.example.org:9000", false, false, "https://minio.example.org:9000/lab/p/t/a?"},
		{"minio.example.org:9000", true, false, "https://lab.minio.example.org:9000/p/t/a?"},
	} {
		s, err := Open(Config{Place: Place{tt.host, true, "lab", "p/"}, HostStyle: tt.byHost, PathStyle: tt.byPath, Key: func() (Key, error) { return Key{ID: "i", Secret: "s"}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.client.PresignedGetObject(t.Context(), "lab", s.key("t/a"), time.Minute, nil)
		if err != nil || !strings.HasPrefix(u.String(), tt.begins) {
			t.Errorf("%+v: %v, %v", tt, u, err)
		}
	}
}
