package sqlite

import (
	"testing"

	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/personstest"
)

func TestPersons(t *testing.T) {
	personstest.Run(t, func(t *testing.T) personstest.Harness {
		db := open(t)
		return personstest.Harness{
			Store: NewPersons(db),
			Break: func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			},
			Reopen: func() idp.Store {
				path := db.path
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				again, err := Open(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := again.Close(); err != nil {
						t.Error(err)
					}
				})
				return NewPersons(again)
			},
		}
	})
}
