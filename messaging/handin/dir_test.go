package handin_test

import (
	"path/filepath"
	"testing"

	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/messaging/handin/handintest"
)

func TestDir(t *testing.T) {
	at := filepath.Join(t.TempDir(), "shared", "hand-ins")
	handintest.Run(t, func(t *testing.T) handin.Files {
		d, err := handin.OpenDir(at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	})
}
