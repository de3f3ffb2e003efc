package s3

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// A Place is a bucket of a store, or what is below a prefix of one.
type Place struct {
	Host   string // with a port, if there is one
	TLS    bool
	Bucket string
	Prefix string // empty, or ending with a slash
}

// ParsePlace reads the address of a bucket, https://HOST[:PORT]/BUCKET[/PREFIX]. An
// error never shows what may be a secret.
func ParsePlace(text string) (Place, error) {
	const like = "write it like https://s3.example.org/bucket/prefix"
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Place{}, errors.New("it is no URL; " + like)
	case u.User != nil:
		return Place{}, errors.New("it holds a user or a key; that belongs in a file of its own")
	case u.Scheme == "s3":
		return Place{}, errors.New("it names no host; " + like)
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "", u.RawQuery != "" || u.ForceQuery || u.Fragment != "", strings.Contains(u.EscapedPath(), "%"):
		return Place{}, errors.New("it is no URL of a bucket; " + like)
	}
	bucket, prefix, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(u.Path, "/"), "/"), "/")
	if err := s3utils.CheckValidBucketNameStrict(bucket); err != nil {
		return Place{}, fmt.Errorf("%q is no name of a bucket; %s", bucket, like)
	}
	if strings.HasSuffix(u.Hostname(), ".amazonaws.com") && !strings.HasPrefix(u.Hostname(), "s3") {
		return Place{}, errors.New("the bucket stands before the host; write it after it, like https://s3.eu-central-1.amazonaws.com/bucket")
	}
	if prefix != "" {
		if !fs.ValidPath(prefix) || strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") != "" {
			return Place{}, fmt.Errorf("%q is no prefix; use letters, digits, - and _, with slashes between", prefix)
		}
		prefix += "/"
	}
	return Place{Host: strings.ToLower(u.Host), TLS: u.Scheme == "https", Bucket: bucket, Prefix: prefix}, nil
}

// Loopback reports whether what is sent there crosses no network.
func (p Place) Loopback() bool {
	u := url.URL{Host: p.Host}
	address, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && address.IsLoopback()
}

func (p Place) region(set string) string {
	if set != "" {
		return set
	}
	if named := s3utils.GetRegionFromURL(url.URL{Host: p.Host}); named != "" {
		return named
	}
	return "us-east-1"
}

// String returns the address, which is no secret.
func (p Place) String() string {
	scheme := "http"
	if p.TLS {
		scheme = "https"
	}
	return strings.TrimSuffix(scheme+"://"+p.Host+"/"+p.Bucket+"/"+p.Prefix, "/")
}
