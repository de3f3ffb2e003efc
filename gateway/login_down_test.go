package gateway_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

// TestRel12: an issuer that accepts and never answers is no longer waited for than
// one that is gone, and nobody who is in notices.
func TestRel12_AnIssuerThatHangs(t *testing.T) {
	gone := make(chan struct{})
	hangs := make(chan struct{}) // closed when it does
	w := newIDWorld(t, idOptions{
		limits: idp.Options{Timeout: 1500 * time.Millisecond}, // as in production
		provider: func(c *idptest.Config) {
			c.Faults.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
				select {
				case <-hangs:
				default:
					return false
				}
				select {
				case <-gone:
				case <-r.Context().Done():
				}
				return true
			}
		},
	})
	ada := w.signedIn("ada")
	close(hangs)
	t.Cleanup(func() { close(gone) })
	w.clock.add(11 * time.Second)
	w.wantDownPage("/login/dev")
	w.wantDownPage("/login/dev") // and at once, for a while
	w.wantStatus(ada, "who is in", http.StatusOK)
}

// TestSec21: an e-mail address, like a name, makes nobody somebody else.
func TestSec21_APersonIsTheirSubject(t *testing.T) {
	accounts := append(idptest.DemoAccounts(), idptest.Account{
		Name: "mallory", FullName: "Ada Lovelace", FamilyName: "Lovelace", Email: "ada@example.org",
	})
	var address atomic.Value
	address.Store("ada@example.org")
	w := newIDWorld(t, idOptions{provider: func(c *idptest.Config) {
		c.Accounts = accounts
		c.Faults.Claims = func(claims map[string]any) {
			claims["email_verified"] = true
			if claims["sub"] == "ada" {
				claims["email"] = address.Load()
			}
		}
	}})
	ada, mallory := w.me(w.signedIn("ada")), w.me(w.signedIn("mallory"))
	if ada.Person == mallory.Person {
		t.Fatal("the address of somebody's e-mail is their account")
	}
	if len(mallory.Roles) != 0 || len(mallory.Groups) != 0 {
		t.Errorf("mallory got %v and %v", mallory.Groups, mallory.Roles)
	}
	address.Store("ada.king@example.org")
	if again := w.me(w.signedIn("ada")); again.Person != ada.Person {
		t.Error("with another address she is another person")
	}
}
