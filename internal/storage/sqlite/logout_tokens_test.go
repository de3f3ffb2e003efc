package sqlite

import (
	"testing"

	"github.com/lodge-gateway/lodge/idp/personstest"
)

func TestSec11_LogoutTokensAreRememberedUntilTheyEnd(t *testing.T) {
	personstest.LogoutTokens(t, NewPersons(open(t)))
}
