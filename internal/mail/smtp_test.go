package mail

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/mail/mailtest"
)

var sender = netmail.Address{Name: "Remote laboratory", Address: "lab@example.org"}

func letter() Letter {
	return Letter{
		ID: "ABC123", To: "ada@example.org", Name: "Ada Lovelace", Subject: "Booked: Pendel №1", Language: "de",
		Text: "Grüße\n.\nein Punkt allein", HTML: "<p>Grüße</p>", Calendar: "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
		At: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC),
	}
}

// to is a sender to a test's server, changed as the test needs.
func to(t *testing.T, s *mailtest.Server, change func(*SMTPConfig)) *SMTP {
	t.Helper()
	cfg := SMTPConfig{
		Host: s.Host, Port: s.Port, From: sender, User: mailtest.User, Roots: s.Roots, Timeout: 10 * time.Second,
		Password: func() (string, error) { return mailtest.Password, nil },
	}
	if change != nil {
		change(&cfg)
	}
	smtp, err := NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return smtp
}

func TestSendsOverTLS(t *testing.T) {
	for name, security := range map[string]Security{"starttls": StartTLS, "implicit": Implicit} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.Start(t, security == Implicit)
			smtp := to(t, server, func(c *SMTPConfig) { c.Security = security })
			if err := smtp.Send(t.Context(), letter()); err != nil {
				t.Fatal(err)
			}
			got := server.Await(1)[0]
			if got.From != sender.Address || got.To != "ada@example.org" || !got.Secure || got.User != mailtest.User {
				t.Errorf("delivered %+v", got)
			}
			m, parts := parsed(t, got.Data)
			for header, want := range map[string]string{
				"Message-Id": "<ABC123@example.org>", "Auto-Submitted": "auto-generated", "Content-Language": "de",
				"Date": "Mon, 04 May 2026 09:00:00 +0000",
			} {
				if m.Header.Get(header) != want {
					t.Errorf("%s: %q, want %q", header, m.Header.Get(header), want)
				}
			}
			if subject(t, m) != "Booked: Pendel №1" {
				t.Errorf("subject %q", subject(t, m))
			}
			if strings.ReplaceAll(parts["text/plain"], "\r\n", "\n") != letter().Text || parts["text/html"] != letter().HTML || parts["text/calendar"] != letter().Calendar {
				t.Errorf("parts %q", parts)
			}
		})
	}
}

// Sec42: nothing crosses a network in plain text, whatever the server offers.
func TestSec42_NoMailInPlainText(t *testing.T) {
	cfg := SMTPConfig{Host: "mail.example.org", Port: 25, From: sender, Security: Plain}
	if _, err := NewSMTP(cfg); err == nil {
		t.Error("plain text to another machine was accepted")
	}
	server := mailtest.Start(t, false)
	for name, change := range map[string]func(*SMTPConfig){
		"unknown authority": func(c *SMTPConfig) { c.Roots = x509.NewCertPool() },
		"another name":      func(c *SMTPConfig) { c.Host = "localhost" },
		"wrong password":    func(c *SMTPConfig) { c.Password = func() (string, error) { return "wrong", nil } },
		"no password":       func(c *SMTPConfig) { c.Password = func() (string, error) { return "", errors.New("gone") } },
	} {
		err := to(t, server, change).Send(t.Context(), letter())
		if err == nil || errors.Is(err, ErrRefused) || strings.Contains(err.Error(), mailtest.Password) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A server that offers no TLS gets neither password nor letter.
	bare, seen := plainServer(t)
	err := to(t, server, func(c *SMTPConfig) { c.Port = bare }).Send(t.Context(), letter())
	if err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("without TLS: %v", err)
	}
	if said := <-seen; strings.Contains(said, "AUTH") || strings.Contains(said, "MAIL") {
		t.Errorf("said in plain text: %q", said)
	}
	if n := len(server.Taken()); n != 0 {
		t.Errorf("%d letters were delivered", n)
	}
}

// plainServer greets one client, offers nothing, and tells what it heard.
func plainServer(t *testing.T) (port int, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			said <- err.Error()
			return
		}
		_, _ = conn.Write([]byte("220 bare\r\n"))
		var all strings.Builder
		buf := make([]byte, 1024)
		for {
			n, err := conn.Read(buf)
			all.Write(buf[:n])
			if err != nil {
				break
			}
			_, _ = conn.Write([]byte("250 bare\r\n"))
		}
		_ = conn.Close()
		said <- all.String()
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port, said //nolint:forcetypeassert // a TCP listener's
}

func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		step    string
		answer  error
		refused bool
	}{
		"recipient later":  {mailtest.AtRecipient, mailtest.Temporary, false},
		"recipient never":  {mailtest.AtRecipient, mailtest.Permanent, true},
		"letter later":     {mailtest.AtData, mailtest.Temporary, false},
		"letter never":     {mailtest.AtData, mailtest.Permanent, true},
		"sender never":     {mailtest.AtSender, mailtest.Permanent, false},
		"dropped early":    {mailtest.AtSender, mailtest.ErrDrop, false},
		"dropped at data":  {mailtest.AtData, mailtest.ErrDrop, false},
		"dropped midway":   {mailtest.AtRecipient, mailtest.ErrDrop, false},
		"sender not today": {mailtest.AtSender, mailtest.Temporary, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.Start(t, false)
			server.Fail(func(step string) error {
				if step == tt.step {
					return tt.answer
				}
				return nil
			})
			smtp := to(t, server, nil)
			err := smtp.Send(t.Context(), letter())
			if err == nil || errors.Is(err, ErrRefused) != tt.refused {
				t.Fatalf("error %v, for good: %t", err, tt.refused)
			}
			if strings.Contains(err.Error(), "ada@") {
				t.Errorf("the error tells the address: %v", err)
			}
			server.Fail(nil)
			if err := smtp.Send(t.Context(), letter()); err != nil || len(server.Taken()) != 1 {
				t.Errorf("after that: %v, %d delivered", err, len(server.Taken()))
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	server := mailtest.Start(t, false)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener's
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := to(t, server, func(c *SMTPConfig) { c.Port = port }).Send(t.Context(), letter()); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("error %v", err)
	}
}

// A server that takes its time is left when the letter's time is over, or the
// node stops.
func TestSlowServer(t *testing.T) {
	server := mailtest.Start(t, false)
	release := make(chan struct{})
	defer close(release)
	reached := make(chan struct{}, 2)
	server.Fail(func(string) error { reached <- struct{}{}; <-release; return nil })
	begun := time.Now()
	err := to(t, server, func(c *SMTPConfig) { c.Timeout = 300 * time.Millisecond }).Send(t.Context(), letter())
	if err == nil || errors.Is(err, ErrRefused) || time.Since(begun) > 5*time.Second {
		t.Errorf("error %v after %s", err, time.Since(begun))
	}
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	smtp := to(t, server, nil)
	go func() { done <- smtp.Send(ctx, letter()) }()
	<-reached
	cancel()
	if err := <-done; err == nil {
		t.Error("sent, though nobody answered")
	}
}
