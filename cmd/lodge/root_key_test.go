package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	hexA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestRootKeyFilesAreReadOrAllTheirFaultsNamed(t *testing.T) {
	for _, c := range []struct{ body, current, want string }{
		{hexA + "\n", "1", "1"},
		{"\n# the first\n" + hexA, "1", "1"},
		{"old " + hexA + " current\nnew " + hexB + "\n", "old", "old new"},
		{hexA + "\n2 " + hexB + " current", "2", "1 2"},
	} {
		r, err := parseRoots(c.body)
		var ids []string
		for _, k := range r.keys {
			ids = append(ids, k.id)
		}
		if err != nil || r.current != c.current || strings.Join(ids, " ") != c.want {
			t.Errorf("%q: %v, current %s, %v", c.body, ids, r.current, err)
		}
		if again, err := parseRoots(r.text()); err != nil || again.text() != r.text() || again.current != r.current {
			t.Errorf("%q is not read as it is written: %v", r.text(), err)
		}
	}
	for body, want := range map[string][]string{
		"":                           {"no key"},
		"abc\n1 " + hexA[:60]:        {"line 1: ", "line 2: "},
		hexA + "\n2 " + hexB:         {"one must have the word current"},
		hexA + "\n1 " + hexB:         {"line 2: the id 1"},
		hexA + " current\n2 " + hexA: {"line 2: this key"},
		"a-b " + hexA:                {"letters and digits"},
		"current":                    {"line 1: "},
		"1 " + hexA + " current\n2 " + hexB + " current\n\nx y z": {"line 2: key 1 is current", "line 4: "},
	} {
		_, err := parseRoots(body)
		for _, one := range want {
			if err == nil || !strings.Contains(err.Error(), one) {
				t.Errorf("%q: %v, want %q", body, err, one)
			}
		}
		if err != nil && (strings.Contains(err.Error(), hexA[:60]) || strings.Contains(err.Error(), hexB)) {
			t.Errorf("%q: the error shows a key: %v", body, err)
		}
	}
}

func FuzzRootKeyFile(f *testing.F) {
	f.Add(hexA)
	f.Add("a " + hexA + " current\nb " + hexB)
	f.Fuzz(func(t *testing.T, body string) {
		r, err := parseRoots(body)
		if err != nil {
			return
		}
		again, err := parseRoots(r.text())
		if err != nil || again.current != r.current || len(again.keys) != len(r.keys) {
			t.Errorf("%q, then %q: %v", body, r.text(), err)
		}
		r.rotated().text()
	})
}

// A rotation takes two steps, and neither takes away what a node needs.
func TestKeysAreRotatedInTwoSteps(t *testing.T) {
	dir := t.TempDir()
	if status, _, errs := lodgeRun(t, "keys", "rotate", "--data", dir); status != exitFailed || !strings.Contains(errs, "no root.key") {
		t.Fatalf("without one: %d %q", status, errs)
	}
	before, err := loadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"1", "2", "2", "3"} {
		status, out, errs := lodgeRun(t, "keys", "rotate", "--json", "--data", dir)
		var shown struct{ Keys []keyView }
		if err := json.Unmarshal([]byte(out), &shown); err != nil || status != exitDone {
			t.Fatalf("%d %q %q, %v", status, out, errs, err)
		}
		after, err := loadKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		if after.messages.Current != want || len(after.messages.Seals) != 2+i/2 || len(shown.Keys) != 2+i/2 || !shown.Keys[0].First {
			t.Errorf("after step %d: current %s of %d keys, shown %+v", i+1, after.messages.Current, len(after.messages.Seals), shown)
		}
		for _, same := range [][2][]byte{
			{before.messages.Names, after.messages.Names}, {before.messages.Seals["1"], after.messages.Seals["1"]},
			{before.audit, after.audit}, {before.grants, after.grants},
		} {
			if string(same[0]) != string(same[1]) {
				t.Error("a rotation changed what is never rotated")
			}
		}
	}
	if after, err := loadKeys(dir); err != nil || after.bookings.PepperID != "3" || len(after.bookings.Others) != 2 {
		t.Errorf("references are written under %s and accepted under %d others, %v", after.bookings.PepperID, len(after.bookings.Others), err)
	}
	if info, err := os.Stat(filepath.Join(dir, rootKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode: %v %v", info, err)
	}
	status, out, errs := lodgeRun(t, "keys", "list", "--data", dir)
	if status != exitDone || strings.Count(out, "yes") != 2 || strings.Contains(out, before.roots.text()) {
		t.Errorf("list: %d %q %q", status, out, errs)
	}
}

// A node does not start with keys that are not those of its store.
func TestWrongRootKeysAreNoticedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, rootKeyFile)
	list := func(body string) (int, string) {
		t.Helper()
		if body != "" {
			if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		status, _, errs := lodgeRun(t, "sessions", "list", "--data", dir)
		return status, errs
	}
	if status, errs := list(hexA); status != exitDone {
		t.Fatalf("the first start: %d %q", status, errs)
	}
	for _, body := range []string{hexA, "1 " + hexA + "\n2 " + hexB + " current"} {
		if status, errs := list(body); status != exitDone {
			t.Errorf("%d %q", status, errs)
		}
	}
	for body, want := range map[string]string{
		hexB:                                "key 1 is not the key 1",
		"2 " + hexB + " current\n1 " + hexA: "its first line, key 2, is not the first key",
		"other " + hexB:                     "its first line, key other, is not the first key",
		hexA + " current\n2 " + strings.Repeat("c", 64): "key 2 is not the key 2",
	} {
		status, errs := list(body)
		if status != exitFailed || !strings.Contains(errs, want) || !strings.Contains(errs, "restore") {
			t.Errorf("%q: %d %q, want %q", body, status, errs, want)
		}
	}
	if status, errs := list(hexA); status != exitDone {
		t.Errorf("with its own again: %d %q", status, errs)
	}
}
