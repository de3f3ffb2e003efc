package idp

import (
	"strings"
	"testing"
	"time"
)

func TestReadJoinCodes(t *testing.T) {
	list, err := ReadJoinCodes(strings.NewReader(`
join_codes:
- {group: physics-1, code: abcdefghijklmnopqrstuvwxyz, expires: 2026-12-24T00:00:00Z, limit: 200}
- {group: chess, code: " zyxwvutsrqponmlkjihg "}
`), "here")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if c := list[0]; c.Group != "physics-1" || c.Limit != 200 || !c.ExpiresAt.Equal(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)) || c.Tenant != "here" || c.ID == list[1].ID {
		t.Errorf("%+v", c)
	}
	if c := list[1]; c.Code != "zyxwvutsrqponmlkjihg" || !c.ExpiresAt.IsZero() || string(c.Hash) != string(HashJoinCode(c.Code)) {
		t.Errorf("%+v", c)
	}
	if list, err := ReadJoinCodes(strings.NewReader(""), "here"); err != nil || len(list) != 0 {
		t.Errorf("an empty file: %v %v", list, err)
	}
}

func TestFaultyFilesOfJoinCodes(t *testing.T) {
	for name, text := range map[string]string{
		"no YAML":       "join_codes: [",
		"unknown field": "join_codes: [{group: g, code: abcdefghijklmnopqrstuvwxyz, until: 2026-12-24}]",
		"no group":      "join_codes: [{code: abcdefghijklmnopqrstuvwxyz}]",
		"short":         "join_codes: [{group: g, code: secret-abcdef}]",
		"not in a link": "join_codes: [{group: g, code: 'secret/abcdefghijklmnopqrstuvwxyz'}]",
		"twice":         "join_codes: [{group: g, code: abcdefghijklmnopqrstuvwxyz}, {group: h, code: abcdefghijklmnopqrstuvwxyz}]",
		"negative":      "join_codes: [{group: g, code: abcdefghijklmnopqrstuvwxyz, limit: -1}]",
	} {
		_, err := ReadJoinCodes(strings.NewReader(text), "here")
		if err == nil {
			t.Errorf("%s is read", name)
			continue
		}
		if strings.Contains(err.Error(), "abcdef") {
			t.Errorf("%s: the error holds the code: %v", name, err)
		}
	}
}

func FuzzReadJoinCodes(f *testing.F) {
	f.Add("join_codes:\n- {group: g, code: abcdefghijklmnopqrstuvwxyz, expires: 2026-12-24T00:00:00Z, limit: 3}\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadJoinCodes(strings.NewReader(text), "here")
		if err != nil {
			return
		}
		for _, c := range list {
			if c.Group == "" || len(c.Code) < minJoinCode || c.Limit < 0 || c.Sealed != nil {
				t.Fatalf("read %+v", c)
			}
		}
	})
}
