package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/internal/durable"
	"github.com/lodge-gateway/lodge/internal/simrig"
)

// A demo is a laboratory in one process: embedded stores, an issuer and a host
// for experiment UIs of its own on localhost, simulated rigs.
type demo struct {
	*node
	issuer   http.Handler
	listener net.Listener // the issuer's
	codes    map[string]string
}

// mailFolder is where the demo's mail is, in its data directory.
const mailFolder = "mail"

// addresses are kept in the data directory, so that a restart comes back where
// pages, cookies and redirect addresses know it.
type addresses struct {
	Public, Assets, Issuer int // ports
}

func (a *app) demo(ctx context.Context, args []string) (err error) {
	flags := a.flags("demo", "demo [--listen ADDR] [--data DIR] [--redis URL] [--second-window RULE]")
	listen := flags.String("listen", "", "address of the gateway on loopback (default: 127.0.0.1 and the port used before, else 8080, else any free one)")
	data := flags.String("data", "", "directory to keep everything in (default: a temporary one)")
	redisURL := flags.String("redis", "", "URL of a Redis for the sessions (default: the embedded store)")
	window := flags.String("second-window", string(gateway.WindowAllow), "what becomes of a second window of one student: allow, replace or refuse")
	verbose := flags.Bool("verbose", false, "log every request")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *data == "" {
		if *data, err = os.MkdirTemp("", "lodge-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(*data)) }()
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelDebug
	}
	d, public, assets, err := a.newDemo(ctx, *data, *listen, *redisURL, gateway.Window(*window), a.logger(level))
	if err != nil {
		return err
	}
	d.onReady = func() { a.welcome(d) }
	return d.run(ctx, a.out, public, assets, d.serveIssuer, d.rigs)
}

func (a *app) newDemo(ctx context.Context, data, listen, redisURL string, window gateway.Window, log *slog.Logger) (_ *demo, public, assets net.Listener, err error) {
	d := &demo{codes: map[string]string{}}
	var opened []net.Listener
	defer func() {
		if err == nil {
			return
		}
		for _, l := range opened {
			err = errors.Join(err, l.Close())
		}
		if d.node != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, nil, nil, err
	}
	at, err := readAddresses(data)
	if err != nil {
		return nil, nil, nil, err
	}
	if public, err = listenDemo(listen, at.Public, 8080); err != nil {
		return nil, nil, nil, err
	}
	opened = append(opened, public)
	if assets, err = listenDemo("", at.Assets, 0); err != nil {
		return nil, nil, nil, err
	}
	opened = append(opened, assets)
	if d.listener, err = listenDemo("", at.Issuer, 0); err != nil {
		return nil, nil, nil, err
	}
	opened = append(opened, d.listener)
	at = addresses{Public: port(public), Assets: port(assets), Issuer: port(d.listener)}
	if err := keepAddresses(data, at); err != nil {
		return nil, nil, nil, err
	}

	cfg := config{
		PublicURL: "http://127.0.0.1:" + strconv.Itoa(at.Public), AssetsURL: "http://localhost:" + strconv.Itoa(at.Assets),
		Data: data, Redis: redisURL, SecondWindow: window, Mail: mailConfig{Folder: filepath.Join(data, mailFolder), Reminders: defaultReminders},
		Issuers: []idp.IssuerConfig{{
			ID: "dev", Name: "Development sign-in", URL: "http://localhost:" + strconv.Itoa(at.Issuer), ClientID: "lodge", Insecure: true,
		}},
	}
	d.issuer, err = idptest.New(idptest.Config{
		Issuer: cfg.Issuers[0].URL, Accounts: idptest.DemoAccounts(), KeyFile: filepath.Join(data, "issuer.pem"),
		Clients: []idptest.Client{{ID: "lodge", RedirectURIs: []string{cfg.PublicURL + "/callback/dev"}, PostLogoutURIs: []string{cfg.PublicURL + "/signed-out"}, BackchannelURI: cfg.PublicURL + "/backchannel-logout/dev"}},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if d.node, err = newNode(ctx, cfg, log); err != nil {
		return nil, nil, nil, err
	}
	return d, public, assets, d.seed(ctx)
}

// seed puts in what a laboratory has on its first day: the catalogue, the people
// of the development issuer, a booking for Søren, a code for each rig. What is
// there already stays.
func (d *demo) seed(ctx context.Context) error {
	cat, _, err := booking.ReadManifest(bytes.NewReader(samples.Lodge), "lodge.yaml", false)
	if err != nil {
		return err
	}
	// A data directory of an earlier demo keeps the catalogue it began with.
	if err := d.desk.Apply(ctx, lodge.DefaultTenant, cat); err != nil && lodge.CodeOf(err) != lodge.CodeConflict {
		return err
	}
	for _, account := range idptest.DemoAccounts() {
		person, err := d.persons.SignedIn(ctx, lodge.DefaultTenant, idp.Identity{
			Issuer: "dev", Subject: account.Name, Name: account.FullName, FamilyName: account.FamilyName, Email: account.Email, EmailVerified: true, Groups: account.Groups,
		})
		if err != nil {
			return err
		}
		// What a sign-in would note: the first booking is made before one.
		if err := d.persons.NoteMailbox(ctx, lodge.DefaultTenant, person.ID, account.Email, ""); err != nil {
			return err
		}
		if account.Name == "soren" {
			if err := d.bookFor(ctx, person); err != nil {
				return err
			}
		}
	}
	return d.keepCodes(ctx, cat)
}

// rigCode is a rig's host code, kept in a file as the hardware would keep it.
type rigCode struct{ ID, Code string }

const rigFile = "rigs.json"

// keepCodes gives each rig the code it had before, or a new one.
func (d *demo) keepCodes(ctx context.Context, cat booking.Catalogue) error {
	path := filepath.Join(d.cfg.Data, rigFile)
	kept := map[string]rigCode{}
	if body, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(body, &kept); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	live, err := d.gateway.Codes(ctx, lodge.DefaultTenant)
	if err != nil {
		return err
	}
	for experiment := range cat.Experiments {
		known := kept[experiment]
		if !slices.ContainsFunc(live.Codes, func(v gateway.SessionView) bool { return v.ID == known.ID && v.State == "active" }) {
			view, err := d.gateway.CreateCode(ctx, lodge.DefaultTenant, gateway.CodeRequest{Kind: "host", Experiment: experiment})
			if err != nil {
				return err
			}
			known = rigCode{ID: view.Session.ID, Code: view.Code}
		}
		kept[experiment], d.codes[experiment] = known, known.Code
	}
	body, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return durable.Replace(path, body)
}

// bookFor books the second pendulum for half an hour from now, unless the person
// has a booking to come or under way.
func (d *demo) bookFor(ctx context.Context, person idp.Person) error {
	mine, err := d.desk.ListByPerson(ctx, lodge.DefaultTenant, person.ID, time.Now(), time.Time{})
	if err != nil {
		return err
	}
	for _, b := range mine {
		if b.State == booking.Booked {
			return nil
		}
	}
	_, _, err = d.desk.Book(ctx, booking.Request{
		Tenant: lodge.DefaultTenant, Person: person.ID, Name: person.Name, Surname: person.FamilyName, Groups: person.Groups,
		Group: "physics-1", Slot: "pend01-physics-1", Length: 30 * time.Minute,
	})
	return err
}

func (d *demo) serveIssuer(ctx context.Context) error {
	server := newServer(d.issuer, d.log)
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("issuer: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-gctx.Done()
		return server.Close()
	})
	return group.Wait()
}

// rigs connects a simulated rig for every experiment, over the network and with
// its own host code.
func (d *demo) rigs(ctx context.Context) error {
	if err := d.gateway.Ready(ctx); err != nil {
		return nil //nolint:nilerr // stopped before it began
	}
	group, ctx := errgroup.WithContext(ctx)
	for experiment, code := range d.codes {
		rig := simrig.New(simrig.Config{BaseURL: d.cfg.PublicURL, Stub: experiment, Code: code, Logger: d.log})
		group.Go(func() error { return rig.Run(ctx) })
	}
	return group.Wait()
}

// welcome says who can sign in, which references exist and what to try.
func (a *app) welcome(d *demo) {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "\nWho can sign in\tat %s/login\n", d.cfg.PublicURL)
	for _, account := range idptest.DemoAccounts() {
		fmt.Fprintf(w, "  %s\t%s: %s\t%s/login/dev?login_hint=%s\n", account.Name, account.FullName, account.About, d.cfg.PublicURL, account.Name)
	}
	fmt.Fprintf(w, "\nBookings to open by surname and reference\tat %s/lookup\n", d.cfg.PublicURL)
	for _, line := range d.references(context.Background()) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	fmt.Fprintf(w, "\nMail about bookings\tis not sent but kept as %s\n", filepath.Join(d.cfg.Mail.Folder, "*.eml"))
	fmt.Fprintln(w, "\nTo try\n  As ada, book Pendulum 0 for five minutes and launch it; as grace, in another browser, send a notice at /teach;"+
		"\n  as linus, take Pendulum 0 off-line at /rigs and give it back. Kill this process and start it again: everything is still there.")
	if err := w.Flush(); err != nil {
		d.log.Warn("welcome", "err", err)
	}
}

func (d *demo) references(ctx context.Context) []string {
	var out []string
	for _, account := range idptest.DemoAccounts() {
		person, err := d.persons.Find(ctx, lodge.DefaultTenant, "dev", account.Name)
		if err != nil {
			continue
		}
		mine, err := d.desk.ListByPerson(ctx, lodge.DefaultTenant, person.ID, time.Now(), time.Time{})
		if err != nil {
			continue
		}
		for _, b := range mine {
			if reference, err := d.desk.Reference(ctx, b); err == nil && b.State == booking.Booked {
				out = append(out, fmt.Sprintf("%s\t%s\t%s until %s", b.Surname, reference, b.Experiment, b.End.Local().Format("15:04 MST")))
			}
		}
	}
	return out
}

// listenDemo listens on loopback: where it was told to, else where it was
// before, else at a preferred port when it is free, else at any.
func listenDemo(told string, before, preferred int) (net.Listener, error) {
	if told != "" {
		host, _, err := net.SplitHostPort(told)
		if err != nil || host != "127.0.0.1" {
			return nil, fmt.Errorf("--listen %s: the demo is for this machine alone; give 127.0.0.1:PORT", told)
		}
		if _, p, _ := net.SplitHostPort(told); p != "0" || before == 0 {
			return net.Listen("tcp", told)
		}
	}
	if before != 0 {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(before))
		if err != nil {
			return nil, fmt.Errorf("the demo was at port %d before, where pages and cookies expect it: %w", before, err)
		}
		return l, nil
	}
	if told == "" && preferred != 0 {
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(preferred)); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

func port(l net.Listener) int {
	addr, _ := l.Addr().(*net.TCPAddr)
	return addr.Port
}

const addressFile = "addresses.json"

func readAddresses(data string) (at addresses, err error) {
	body, err := os.ReadFile(filepath.Join(data, addressFile))
	if errors.Is(err, fs.ErrNotExist) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	return at, json.Unmarshal(body, &at)
}

func keepAddresses(data string, at addresses) error {
	body, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(data, addressFile), body)
}
