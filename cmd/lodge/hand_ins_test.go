package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/s3test"
	"github.com/lodge-gateway/lodge/internal/storage/s3"
	"github.com/lodge-gateway/lodge/messaging/handin"
)

// keyFile writes a key as operators do.
func keyFile(t *testing.T, id, secret string) string {
	t.Helper()
	return filepath.Join(write(t, map[string]string{"s3.key": "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = " + secret + "\n"}), "s3.key")
}

func TestHandInSettings(t *testing.T) {
	key := keyFile(t, "ID", "first")
	c, err := load(with(map[string]string{
		"handin_s3": "https://s3.example.org:9000/lab/hand-ins", "handin_s3_key_file": key, "handin_s3_region": "garage", "handin_s3_style": "host",
		"handin_s3_ca_file": filepath.Join(write(t, map[string]string{"ca.pem": certificate(t)}), "ca.pem"),
	}), env{}.lookup, "")
	if err != nil {
		t.Fatal(err)
	}
	store := c.HandIns.Store
	if store.Place != (s3.Place{Host: "s3.example.org:9000", TLS: true, Bucket: "lab", Prefix: "hand-ins/"}) || store.Region != "garage" || !store.HostStyle || store.PathStyle || store.Authorities == nil ||
		c.HandIns.where() != "https://s3.example.org:9000/lab/hand-ins" {
		t.Errorf("%+v", store)
	}
	if err := os.WriteFile(key, []byte("aws_access_key_id = ID\naws_secret_access_key = second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := store.Key(); err != nil || k.Secret != "second" {
		t.Errorf("after a change: %v", err)
	}
	for _, given := range []map[string]string{
		nil, {"handin_s3": ""}, {"handin_s3": "http://127.0.0.1:9000/lab", "handin_s3_key_file": key},
		{"handin_s3": "http://minio:9000/lab", "handin_s3_key_file": key, "handin_s3_plain": "allowed", "handin_s3_style": "path"},
	} {
		if _, err := load(with(given), env{}.lookup, ""); err != nil {
			t.Errorf("%v: %v", given, err)
		}
	}
	if c, err := load(with(nil), env{}.lookup, ""); err != nil || c.HandIns.where() != "directory" {
		t.Errorf("default: %+v %v", c.HandIns, err)
	}
}

func TestSec42_HandInSettingsRefused(t *testing.T) {
	key := keyFile(t, "ID", "canary")
	bad := filepath.Join(write(t, map[string]string{"bad.key": "ID:canary\n"}), "bad.key")
	good := map[string]string{"handin_s3": "https://s3.example.org/lab", "handin_s3_key_file": key}
	for _, tt := range []struct {
		key, value string
		says       []string
	}{
		{"handin_s3", "s3://lab/prefix", []string{"handin_s3 (flag --handin-s3): it names no host"}},
		{"handin_s3", "http://minio:9000/lab", []string{"its scheme is http; use https, or write handin_s3_plain: allowed"}},
		{"handin_s3", "https://ID:canary@s3.example.org/lab", []string{"that belongs in a file of its own"}},
		{"handin_s3", "", []string{"handin_s3_key_file (flag --handin-s3-key-file): it is given without handin_s3"}},
		{"handin_s3_key_file", "/nowhere/s3.key", []string{"no such file"}},
		{"handin_s3_key_file", bad, []string{"line 1 is none like aws_access_key_id"}},
		{"handin_s3_region", "eu central", []string{"is no region"}},
		{"handin_s3_style", "dns", []string{"is neither path nor host"}},
		{"handin_s3_ca_file", key, []string{"holds no certificate in PEM form"}},
		{"handin_s3_plain", "yes", []string{"is neither allowed nor refused"}},
		{"handin_dir", "/srv/hand-ins", []string{"handin_dir (flag --handin-dir): handin_s3 is given beside it (flag --handin-s3); keep one of the two"}},
	} {
		given := with(good)
		given[tt.key] = tt.value
		_, err := load(given, env{}.lookup, "")
		for _, want := range tt.says {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s %q: %v, want %q", tt.key, tt.value, err, want)
			}
		}
	}
	_, err := load(with(map[string]string{"handin_s3": "http://minio/lab", "handin_s3_region": "?", "handin_s3_style": "?"}), env{}.lookup, "")
	if err == nil || strings.Count(err.Error(), "\n") != 3 || !strings.Contains(err.Error(), "handin_s3_key_file (not set): give the file") {
		t.Errorf("all at once: %v", err)
	}
}

// work is a form with a file of several parts.
func work(t *testing.T, files map[string]string) (body string, contentType header) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for name, contents := range files {
		w, err := form.CreateFormFile("file", name)
		if err == nil {
			_, err = io.WriteString(w, contents)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), header{"Content-Type", form.FormDataContentType()}
}

// unzipped is what an instructor downloads: contents by the end of their name.
func unzipped(t *testing.T, raw []byte, name string) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/"+name) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return ""
}

// What is handed in at one node is in the bucket, sealed; another node gives it out, in a
// zip too, through an outage of the store without a restart; and it goes with its person.
func TestHandInsInAnObjectStore(t *testing.T) {
	server := s3test.Start(t)
	key := keyFile(t, s3test.KeyID, s3test.SecretKey)
	settings := []string{"handin_s3: " + server.URL() + "/lodge", "handin_s3_key_file: " + key}
	s := newSite(t)
	one := s.node("one", settings...)
	if status, out, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--config", one.file); status != exitDone {
		t.Fatal(out, errs)
	}
	one.start()
	two := s.node("two", settings...).start()
	place, err := s3.ParsePlace(server.URL() + "/lodge")
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := s3.Open(s3.Config{Place: place, Key: func() (s3.Key, error) { return s3.Key{ID: s3test.KeyID, Secret: s3test.SecretKey}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	stored := func() (names []string) {
		t.Helper()
		for name, err := range bucket.List(t.Context(), ".") {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		return names
	}

	ada, soren, grace := signedInAt(one, "ada"), signedInAt(two, "soren"), signedInAt(two, "grace")
	opened := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", gateway.HandInRequest{
		To: "group:physics-1", Title: "Report", Points: 10, Deadline: time.Now().Add(time.Hour).Format(time.RFC3339), Late: "refuse",
	})
	at := "/api/v1/handins/" + opened.ID
	long := strings.Repeat("canary of Ada's ", 12<<16) // 12 MiB
	form, is := work(t, map[string]string{"long.txt": long, "short.txt": "short"})
	call[gateway.HandInReceipt](ada, 201, "POST", at+"/work", form, is)
	other, otherIs := work(t, map[string]string{"report.txt": "Søren's"})
	call[gateway.HandInReceipt](soren, 201, "POST", at+"/work", other, otherIs)
	names := stored()
	if len(names) != 3 || slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, handin.PartSuffix) }) {
		t.Fatalf("the bucket has %v", names)
	}
	for _, name := range names {
		r, err := bucket.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil || bytes.Contains(b, []byte("canary")) || bytes.Contains(b, []byte("ren's")) {
			t.Errorf("%s is in the clear, or %v", name, err)
		}
	}
	zipped := func() (int, []byte) { return grace.do("GET", at+".zip", nil) }
	if status, raw := zipped(); status != 200 || unzipped(t, raw, "long.txt") != long || unzipped(t, raw, "report.txt") != "Søren's" {
		t.Errorf("the zip at the other node: %d", status)
	}

	server.Kill9()
	refused := ada.refusedWith(503, "POST", at+"/work", form, is)
	mine := call[gateway.HandInView](ada, 200, "GET", at, nil)
	if mine.Mine == nil || len(mine.Mine.Files) != 2 || mine.Mine.Version != 1 || strings.Contains(refused.Detail, "object store") {
		t.Fatalf("%+v after %+v", mine.Mine, refused)
	}
	ada.refusedWith(503, "GET", mine.Mine.Files[0].URL, nil)
	if err := one.ready(); err != nil {
		t.Errorf("a node that can do all else: %v", err)
	}
	if found := levels(t, exitFailed, "--config", one.file); found["hand-ins store"] != levelFault {
		t.Errorf("the doctor: %v", found)
	}
	server.Restart()
	call[gateway.HandInReceipt](ada, 201, "POST", at+"/work", form, is)
	if status, raw := zipped(); status != 200 || unzipped(t, raw, "long.txt") != long {
		t.Errorf("the zip after the outage: %d", status)
	}
	if found := levels(t, exitFailed, "--config", one.file); found["hand-ins store"] != levelOK { // the test's database is the fault
		t.Errorf("the doctor: %v", found)
	}

	preview := call[gateway.ErasePreview](ada, 200, "GET", "/api/v1/me/erase", nil)
	call[gateway.Erased](ada, 200, "POST", "/api/v1/me/erase", gateway.EraseRequest{Version: preview.Version})
	two.process.eventually("Ada's files are gone", func() bool {
		left := stored()
		return len(left) == 1 && slices.Contains(names, left[0])
	})
	if status, raw := zipped(); status != 200 || unzipped(t, raw, "long.txt") != "" || unzipped(t, raw, "report.txt") != "Søren's" {
		t.Errorf("the zip without Ada: %d", status)
	}
	if out := one.process.printed() + two.process.printed(); strings.Contains(out, s3test.SecretKey) {
		t.Error("the key is in the log")
	}
}

// A store that refuses what the configuration says ends the start in one sentence, one
// that does not answer does not; the doctor says the same, and what to do about it.
func TestHandInsStoreAtTheStart(t *testing.T) {
	server := s3test.Start(t)
	for name, tt := range map[string]struct{ url, secret, says string }{
		"no bucket":  {strings.Replace(server.URL(), s3test.Bucket, "other", 1), s3test.SecretKey, `the object store: there is no bucket "other"; make it, or mend its name in handin_s3`},
		"a bad key":  {server.URL(), "canary-wrong", "the object store: it does not take the key; mend handin_s3_key_file"},
		"not there":  {"http://" + freeAddress(t) + "/hand-ins", s3test.SecretKey, ""},
		"as it must": {server.URL(), s3test.SecretKey, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(with(map[string]string{"handin_s3": tt.url, "handin_s3_key_file": keyFile(t, s3test.KeyID, tt.secret)}), env{}.lookup, "")
			if err != nil {
				t.Fatal(err)
			}
			files, err := c.HandIns.open(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
			if (err == nil) != (tt.says == "") || err != nil && (!strings.HasPrefix(err.Error(), tt.says) || strings.Contains(err.Error(), "canary-wrong") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("the start: %v", err)
			}
			if err == nil {
				_ = files.Close()
			}
			found := examineHandIns(t.Context(), c)
			if len(found) != 1 || (found[0].Level == levelOK) != (name == "as it must") || (found[0].Remedy == "") != (name == "as it must") || strings.Contains(found[0].Finding, "canary-wrong") {
				raw, _ := json.Marshal(found)
				t.Errorf("the doctor: %s", raw)
			}
		})
	}
}

func TestDoctorTriesTheDirectoryOfHandIns(t *testing.T) {
	dir := t.TempDir()
	if found := examineHandIns(t.Context(), config{Data: dir}); len(found) != 0 {
		t.Errorf("before the first start: %+v", found)
	}
	if found := examineHandIns(t.Context(), config{Data: dir, Database: "postgres://lodge@127.0.0.1/lodge"}); len(found) != 1 || found[0].Level != levelWarning {
		t.Errorf("of several nodes: %+v", found)
	}
	if err := os.Mkdir(filepath.Join(dir, "hand-ins"), 0o700); err != nil {
		t.Fatal(err)
	}
	if found := examineHandIns(t.Context(), config{Data: dir}); len(found) != 1 || found[0].Level != levelOK {
		t.Errorf("%+v", found)
	}
	left, err := os.ReadDir(filepath.Join(dir, "hand-ins"))
	if err != nil || len(left) != 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	file := filepath.Join(write(t, map[string]string{"file": "x"}), "file")
	if found := examineHandIns(t.Context(), config{HandIns: handInPlace{Dir: file}}); len(found) != 1 || found[0].Level != levelFault {
		t.Errorf("%+v", found)
	}
}
