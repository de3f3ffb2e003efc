package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge/internal/storage/s3"
	"github.com/lodge-gateway/lodge/messaging/handin"
)

// handInPlace is where what people hand in goes, and what judges it. Zero stands for
// the default.
type handInPlace struct {
	Dir       string
	Store     s3.Config // without a bucket: the directory
	Plain     bool      // plain http to the store may cross a network
	Max       int       // MiB
	Scanner   []string  // a program and its arguments; empty: none
	ScanLimit time.Duration
}

// handInSettings are those of an object store, in place of a directory.
var handInSettings = []setting{
	{"handin_s3", "bucket of an S3 object store for what people hand in, sealed, in place of a directory, as https://HOST/BUCKET or https://HOST/BUCKET/PREFIX; several nodes share one (default: handin_dir)", handInS3},
	{"handin_s3_key_file", "file with the key of that store, in the lines aws_access_key_id = … and aws_secret_access_key = …, read at each request", handInKey},
	{"handin_s3_region", "region of that bucket, such as eu-central-1 (default: what the host name says, else us-east-1)", handInRegion},
	{"handin_s3_style", "path or host: where the name of the bucket stands in requests (default: as is usual for the host)", handInStyle},
	{"handin_s3_ca_file", "PEM file of the certificate authorities that the store is trusted by, instead of the system's", handInAuthorities},
	{"handin_s3_plain", "allowed: plain http to a store that is not on loopback, in a network that nobody else is in (default refused)", handInPlain},
}

func handInS3(c *config, from source) (err error) {
	c.HandIns.Store.Place = s3.Place{}
	if from.value == "" { // a flag can say so against the file
		return nil
	}
	c.HandIns.Store.Place, err = s3.ParsePlace(from.value)
	return err
}

// handInKey reads the key now, to find a fault at the start, and for each request, so
// that it can be changed while the node runs.
func handInKey(c *config, from source) error {
	c.HandIns.Store.Key = func() (s3.Key, error) {
		text, err := secretFile(from.path(from.value))
		if err != nil {
			return s3.Key{}, err
		}
		return s3.ParseKey(text)
	}
	_, err := c.HandIns.Store.Key()
	return err
}

var regionName = regexp.MustCompile(`^[a-zA-Z0-9-]{1,64}$`)

func handInRegion(c *config, from source) error {
	if !regionName.MatchString(from.value) {
		return fmt.Errorf("%q is no region; write it like eu-central-1", from.value)
	}
	c.HandIns.Store.Region = from.value
	return nil
}

func handInStyle(c *config, from source) error {
	if from.value != "path" && from.value != "host" {
		return fmt.Errorf("%q is neither path nor host", from.value)
	}
	c.HandIns.Store.PathStyle, c.HandIns.Store.HostStyle = from.value == "path", from.value == "host"
	return nil
}

func handInAuthorities(c *config, from source) (err error) {
	c.HandIns.Store.Authorities, err = authorities(from.path(from.value))
	return err
}

func handInPlain(c *config, from source) error {
	if from.value != "allowed" && from.value != "refused" {
		return fmt.Errorf("%q is neither allowed nor refused", from.value)
	}
	c.HandIns.Plain = from.value == "allowed"
	return nil
}

// completeHandIns finds what does not go together.
func (c *config) completeHandIns(from map[string]source) []error {
	at, given := from["handin_s3"]
	var faults []error
	if !given || at.value == "" {
		for _, s := range handInSettings {
			if alone, ok := from[s.key]; ok && s.key != "handin_s3" {
				faults = append(faults, fault{s.key, alone.origin, "it is given without handin_s3; give that too, or leave it out"})
			}
		}
		return faults
	}
	if dir, both := from["handin_dir"]; both {
		faults = append(faults, fault{"handin_dir", dir.origin, "handin_s3 is given beside it (" + at.origin + "); keep one of the two"})
	}
	if _, ok := from["handin_s3_key_file"]; !ok {
		faults = append(faults, fault{"handin_s3_key_file", "not set", "give the file with the key that the store takes"})
	}
	if p := c.HandIns.Store.Place; p.Bucket != "" && !p.TLS && !p.Loopback() && !c.HandIns.Plain {
		faults = append(faults, fault{"handin_s3", at.origin, "its scheme is http; use https, or write handin_s3_plain: allowed where nobody else is in the network between"})
	}
	return faults
}

// dir is the directory, in a node's data unless it is set.
func (h handInPlace) dir(data string) string {
	if h.Dir == "" {
		return filepath.Join(data, "hand-ins")
	}
	return h.Dir
}

// scanner is what judges files; nil when nothing does.
func (h handInPlace) scanner() handin.Scanner {
	if len(h.Scanner) == 0 {
		return nil
	}
	limit := h.ScanLimit
	if limit == 0 {
		limit = time.Minute
	}
	return handin.Command(limit, h.Scanner[0], h.Scanner[1:]...)
}

// scanner reads a command line: words between spaces, for no shell reads it.
func scanner(c *config, from source) error {
	c.HandIns.Scanner = strings.Fields(from.value)
	if len(c.HandIns.Scanner) == 0 {
		return errors.New("it is empty; name a program, such as /usr/local/bin/scan, or leave it out")
	}
	return nil
}
