package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"strings"

	"github.com/lodge-gateway/lodge/idp/idptest"
)

// administrator is who ends sessions: the sample catalogue makes this account of
// the issuer "dev" the tenant's administrator.
const administrator = "root"

// person returns the name of the account with a number.
func person(n int) string { return fmt.Sprintf("person%d", n) }

// issuer serves a development issuer with many accounts.
func issuer(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("issuer", flag.ContinueOnError)
	listen := flags.String("listen", "", "address")
	redirects := flags.String("redirects", "", "redirect addresses, comma separated")
	people := flags.Int("people", 1, "accounts beside the administrator's")
	if err := flags.Parse(args); err != nil {
		return err
	}
	accounts := []idptest.Account{{Name: administrator, FullName: "Root Admin", FamilyName: "Admin", Groups: []string{"everyone", "staff"}}}
	for n := range *people {
		accounts = append(accounts, idptest.Account{
			Name: person(n), FullName: fmt.Sprintf("Person Number %d", n), FamilyName: fmt.Sprintf("Number %d", n),
			Groups: []string{"everyone", "physics-1"},
		})
	}
	_, port, err := net.SplitHostPort(*listen)
	if err != nil {
		return err
	}
	handler, err := idptest.New(idptest.Config{
		Issuer: "http://localhost:" + port, Accounts: accounts,
		Clients: []idptest.Client{{ID: "lodge", RedirectURIs: strings.Split(*redirects, ",")}},
	})
	if err != nil {
		return err
	}
	return serveUntilClosed(ctx, *listen, handler)
}
