package sqlite

import (
	"testing"

	"github.com/lodge-gateway/lodge/idp/personstest"
)

func TestGrantsAreTakenUpOnceWhenDue(t *testing.T) { personstest.Grants(t, NewPersons(open(t))) }
