package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
)

// Security is how the connection to a server is kept from others.
type Security string

// The kinds of security.
const (
	StartTLS Security = "starttls" // asked for on the plain connection, and required
	Implicit Security = "tls"      // from the first byte (RFC 8314)
	Plain    Security = "none"     // for a server on the same machine
)

// An SMTPConfig says where letters are handed over.
type SMTPConfig struct {
	Host     string
	Port     int
	Security Security // empty: StartTLS
	From     netmail.Address
	User     string // empty: no authentication
	// Password is asked for at each connection, so that it can be changed in its
	// file while Lodge runs.
	Password func() (string, error)
	Roots    *x509.CertPool // nil: the system's
	// Timeout bounds one letter, from the connection on; default 45 s.
	Timeout time.Duration
}

// SMTP hands letters over to a server, each on a connection of its own: there are
// few, and one that is kept open is mostly found closed.
type SMTP struct{ cfg SMTPConfig }

// NewSMTP refuses to send anything across a network in plain text.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	if cfg.Security == "" {
		cfg.Security = StartTLS
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 45 * time.Second
	}
	if _, ok := Address(cfg.From.Address); !ok {
		return nil, errors.New("mail: the sender's address is none")
	}
	if cfg.Security == Plain && !loopback(cfg.Host) {
		return nil, errors.New("mail: plain text is for a server on this machine only: use starttls or tls")
	}
	return &SMTP{cfg}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send implements Sender.
func (s *SMTP) Send(ctx context.Context, l Letter) error {
	message, err := l.message(s.cfg.From)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	client, hangUp, err := s.client(ctx)
	if err != nil {
		return err
	}
	defer hangUp()
	err = client.DialAndSendWithContext(ctx, message)
	if err == nil || message.IsDelivered() { // what went wrong after that is the connection's
		return nil
	}
	// The server's words may hold the address; a log has no need of it.
	said := errors.New(strings.ReplaceAll(err.Error(), l.To, "the address"))
	// Of a sender that is refused it is the configuration that is wrong, which can be
	// mended.
	if e, ok := errors.AsType[*mail.SendError](err); ok && e.ErrorCode() >= 500 && e.Reason != mail.ErrSMTPMailFrom {
		return fmt.Errorf("%w: %w", ErrRefused, said)
	}
	return fmt.Errorf("mail: %w", said)
}

// client returns a client for one letter, whose connection ends with ctx: a server
// that is slow with each line cannot hold it for longer. hangUp closes it, which
// the library leaves out where it fails between dialling and sending.
func (s *SMTP) client(ctx context.Context) (_ *mail.Client, hangUp func(), err error) {
	conf := &tls.Config{ServerName: s.cfg.Host, RootCAs: s.cfg.Roots, MinVersion: tls.VersionTLS12}
	var mu sync.Mutex
	var open []func() // guarded by mu
	dial := func(dialing context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(dialing, network, address)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever uses it gets the error
		mu.Lock()
		open = append(open, func() {
			stop()
			_ = conn.Close() // it may be closed already
		})
		mu.Unlock()
		if s.cfg.Security != Implicit {
			return conn, nil
		}
		secure := tls.Client(conn, conf)
		return secure, secure.HandshakeContext(dialing)
	}
	options := []mail.Option{
		mail.WithPort(s.cfg.Port), mail.WithTLSConfig(conf), mail.WithTimeout(s.cfg.Timeout), mail.WithDialContextFunc(dial),
	}
	switch s.cfg.Security {
	case Implicit:
		options = append(options, mail.WithSSL())
	case StartTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	default:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.cfg.User != "" {
		password, err := s.cfg.Password()
		if err != nil {
			return nil, nil, fmt.Errorf("mail: the password: %w", err)
		}
		options = append(options, mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin), mail.WithUsername(s.cfg.User), mail.WithPassword(password))
	}
	client, err := mail.NewClient(s.cfg.Host, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("mail: %w", err)
	}
	return client, func() {
		mu.Lock()
		defer mu.Unlock()
		for _, hangUp := range open {
			hangUp()
		}
	}, nil
}
