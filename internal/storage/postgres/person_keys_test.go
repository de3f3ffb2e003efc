package postgres

import (
	"bytes"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func TestPersonKeys(t *testing.T) {
	wrap, err := messaging.NewWrapping(map[string][]byte{"1": bytes.Repeat([]byte{1}, 32)}, "1")
	if err != nil {
		t.Fatal(err)
	}
	messagingtest.PersonKeys(t, func(t *testing.T, nodes int) []messaging.PersonKeys {
		url := fresh(t)
		var all []messaging.PersonKeys
		for range nodes {
			all = append(all, NewPersonKeys(open(t, url), wrap))
		}
		return all
	})
}
