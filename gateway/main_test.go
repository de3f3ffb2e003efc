package gateway_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain sees to it that nothing is left running and, when all tests ran and
// passed, that between them they had every documented operation succeed.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, "left running:", err)
		code = 1
	}
	all := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.fuzz").Value.String() == "" && flag.Lookup("test.list").Value.String() == ""
	if code == 0 && all {
		for _, missing := range unexercised() {
			fmt.Fprintln(os.Stderr, "no test has this succeed:", missing)
			code = 1
		}
	}
	os.Exit(code)
}
