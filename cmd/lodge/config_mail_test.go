package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/mail"
)

// mailGiven reads settings on top of the required ones.
func mailGiven(t *testing.T, more map[string]string) (config, error) {
	t.Helper()
	given := map[string]string{"public_url": "https://lab.example.org", "assets_url": "https://ui.example.org", "data": t.TempDir()}
	for key, value := range more {
		given[key] = value
	}
	return load(given, func(string) (string, bool) { return "", false }, "")
}

func TestMailSettings(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := mailGiven(t, map[string]string{
		"mail_server": "smtps://mail.example.org:465", "mail_from": "Labor Süd <lab@example.org>", "mail_user": "lodge", "mail_password_file": password,
		"mail_language": "de", "reminders": "48h, 5m",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := c.Mail.Server
	if !c.Mail.sends() || s.Host != "mail.example.org" || s.Port != 465 || s.Security != mail.Implicit || s.From.Name != "Labor Süd" || s.From.Address != "lab@example.org" || s.User != "lodge" {
		t.Errorf("%+v", s)
	}
	if c.Mail.Language != "de" || !slices.Equal(c.Mail.Reminders, []time.Duration{48 * time.Hour, 5 * time.Minute}) || c.Mail.where() != "mail.example.org:465" {
		t.Errorf("%+v", c.Mail)
	}
	if err := os.WriteFile(password, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Password(); err != nil || got != "second" {
		t.Errorf("after a change: %q %v", got, err)
	}
	none, err := mailGiven(t, nil)
	if err != nil || none.Mail.sends() || !slices.Equal(none.Mail.Reminders, defaultReminders) {
		t.Errorf("default %+v %v", none.Mail, err)
	}
	if sender, err := none.Mail.sender(); sender != nil || err != nil {
		t.Errorf("a sender without a server: %v %v", sender, err)
	}
	if none, err = mailGiven(t, map[string]string{"reminders": "none"}); err != nil || none.Mail.Reminders != nil {
		t.Errorf("none: %+v %v", none.Mail, err)
	}
}

func TestSec42_MailSettingsRefused(t *testing.T) {
	server := map[string]string{"mail_server": "smtp://mail.example.org:587", "mail_from": "lab@example.org"}
	for name, tt := range map[string]struct{ key, value, want string }{
		"no port":        {"mail_server", "smtp://mail.example.org", "not a mail server"},
		"password in it": {"mail_server", "smtp://u:p@mail.example.org:587", "not a mail server"},
		"plain text":     {"mail_server", "smtp+plain://mail.example.org:25", "loopback only"},
		"scheme":         {"mail_server", "http://mail.example.org:587", "scheme"},
		"port":           {"mail_server", "smtp://mail.example.org:70000", "port"},
		"from":           {"mail_from", "somebody", "no address"},
		"two from":       {"mail_from", "a@b.c, d@e.f", "no address"},
		"user alone":     {"mail_user", "lodge", "without mail_password_file"},
		"no password":    {"mail_password_file", "/nowhere/password", "nowhere"},
		"language":       {"mail_language", "!", "no language"},
		"reminder":       {"reminders", "15", "1m to 720h"},
		"too many":       {"reminders", strings.Repeat("15m,", 9), "1 to 8"},
		"no reminders":   {"reminders", ",", "1 to 8"},
	} {
		given := map[string]string{tt.key: tt.value}
		for key, value := range server {
			if _, ok := given[key]; !ok {
				given[key] = value
			}
		}
		if _, err := mailGiven(t, given); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	for _, given := range []map[string]string{{"mail_from": "a@b.c"}, {"mail_server": "smtp://a.b:25"}} {
		if _, err := mailGiven(t, given); err == nil {
			t.Errorf("%v was accepted", given)
		}
	}
	if _, err := mailGiven(t, map[string]string{"mail_server": "smtp+plain://127.0.0.1:25", "mail_from": "a@b.c"}); err != nil {
		t.Errorf("plain text on loopback: %v", err)
	}
}
