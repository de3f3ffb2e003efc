package main

import (
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/lodge-gateway/lodge/internal/mail"
)

// mailConfig says how mail is sent. Without a server, and without a folder, none
// is.
type mailConfig struct {
	Server   mail.SMTPConfig // Host empty: none
	Folder   string          // letters are kept in files instead; the demo's
	Language string
	// Reminders are how long before its start the owner of a booking is reminded.
	Reminders []time.Duration
}

// sends reports whether letters are written.
func (m mailConfig) sends() bool { return m.Server.Host != "" || m.Folder != "" }

// defaultReminders: a day before, and a quarter of an hour.
var defaultReminders = []time.Duration{24 * time.Hour, 15 * time.Minute}

var mailSettings = []setting{
	{"mail_server", "mail server, as smtp://HOST:587 (STARTTLS, required) or smtps://HOST:465; on loopback smtp+plain://127.0.0.1:25 too (default: no mail is sent)", mailServer},
	{"mail_from", "whom mail is from, such as Remote laboratory <lab@example.org>; required with mail_server", mailFrom},
	{"mail_user", "user name at the mail server (default: no authentication)", mailUser},
	{"mail_password_file", "file that holds the password at the mail server, read at each connection", mailPassword},
	{"mail_language", "language of mail to people whose own is not known, such as de (default en)", mailLanguage},
	{"reminders", "how long before a booking its owner is reminded by message and mail, comma separated, where its policy says nothing; none: not at all (default 24h,15m)", reminders},
}

func mailServer(c *config, from source) error {
	u, err := url.Parse(from.value)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return fmt.Errorf("%q is not a mail server; write it like smtp://mail.example.org:587, with the user in mail_user", from.value)
	}
	security, ok := map[string]mail.Security{"smtp": mail.StartTLS, "smtps": mail.Implicit, "smtp+plain": mail.Plain}[u.Scheme]
	if !ok {
		return fmt.Errorf("its scheme is %q; write smtp (with STARTTLS) or smtps", u.Scheme)
	}
	if security == mail.Plain && !isLoopback(u.Hostname()) {
		return errors.New("plain text is for a server on loopback only, where nothing crosses a network; use smtp, which requires STARTTLS, or smtps")
	}
	c.Mail.Server.Host, c.Mail.Server.Security = u.Hostname(), security
	c.Mail.Server.Port, err = strconv.Atoi(u.Port())
	if err != nil || c.Mail.Server.Port < 1 || c.Mail.Server.Port > 65535 {
		return fmt.Errorf("%q is no port", u.Port())
	}
	return nil
}

func mailFrom(c *config, from source) error {
	a, err := netmail.ParseAddress(from.value)
	if err != nil {
		return fmt.Errorf("%q is no address; write it like Remote laboratory <lab@example.org>", from.value)
	}
	if _, ok := mail.Address(a.Address); !ok {
		return fmt.Errorf("%q is no address that mail can be from", a.Address)
	}
	c.Mail.Server.From = *a
	return nil
}

func mailUser(c *config, from source) error {
	if from.value == "" || strings.ContainsAny(from.value, "\r\n\x00") {
		return errors.New("it is no user name")
	}
	c.Mail.Server.User = from.value
	return nil
}

// mailPassword reads the password now, to find a fault at the start, and at each
// connection, so that it can be changed while the node runs.
func mailPassword(c *config, from source) error {
	c.Mail.Server.Password = func() (string, error) { return secretFile(from.path(from.value)) }
	_, err := c.Mail.Server.Password()
	return err
}

func mailLanguage(c *config, from source) error {
	if _, err := language.Parse(from.value); err != nil {
		return fmt.Errorf("%q is no language; write its tag, like en or de", from.value)
	}
	c.Mail.Language = from.value
	return nil
}

// maxReminders bounds how often somebody is reminded of one booking.
const maxReminders = 8

func reminders(c *config, from source) error {
	c.Mail.Reminders = nil
	if from.value == "none" {
		return nil
	}
	for _, one := range commaList(from.value) {
		d, err := time.ParseDuration(one)
		if err != nil || d < time.Minute || d > 30*24*time.Hour {
			return fmt.Errorf("%q is not a time from 1m to 720h; write them like 24h,15m, or none", one)
		}
		c.Mail.Reminders = append(c.Mail.Reminders, d)
	}
	if n := len(c.Mail.Reminders); n == 0 || n > maxReminders {
		return fmt.Errorf("there are %d of them; write 1 to %d, or none", n, maxReminders)
	}
	return nil
}

// completeMail finds what is missing beside what is given.
func (c *config) completeMail(from map[string]source) []error {
	var faults []error
	_, server := from["mail_server"]
	for _, key := range []string{"mail_from", "mail_user", "mail_password_file"} {
		if at, ok := from[key]; ok && !server {
			faults = append(faults, fault{key, at.origin, "it is given without mail_server; give that too, or leave it out"})
		}
	}
	if _, ok := from["mail_from"]; server && !ok {
		faults = append(faults, fault{"mail_from", "not set", "say whom mail is from, such as Remote laboratory <lab@example.org>"})
	}
	user, named := from["mail_user"]
	password, secret := from["mail_password_file"]
	switch {
	case named && !secret:
		faults = append(faults, fault{"mail_user", user.origin, "it is given without mail_password_file; give the file that holds the password"})
	case secret && !named:
		faults = append(faults, fault{"mail_password_file", password.origin, "it is given without mail_user; say whose password it is"})
	}
	return faults
}

// sender is what hands letters over; nil when none are written.
func (m mailConfig) sender() (mail.Sender, error) {
	switch {
	case m.Folder != "":
		return mail.NewFolder(m.Folder, netmail.Address{Name: "Lodge demo", Address: "lodge@localhost.localdomain"})
	case m.Server.Host != "":
		return mail.NewSMTP(m.Server)
	}
	return nil, nil //nolint:nilnil // there is none, and that is no fault
}

// where says where letters go, for logs.
func (m mailConfig) where() string {
	switch {
	case m.Folder != "":
		return filepath.Clean(m.Folder)
	case m.Server.Host != "":
		return net.JoinHostPort(m.Server.Host, strconv.Itoa(m.Server.Port))
	}
	return "none"
}
