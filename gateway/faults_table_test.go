package gateway_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// faultTests are the rows of the table "When something fails" in
// deploy/README.md, each with the test that holds every cell of it against a
// running gateway: on the stores that can have the fault.
var faultTests = map[string]func(*testing.T){
	"Redis unreachable":                TestFaultStoreUnreachable,
	"Redis hangs":                      TestFaultStoreHangs,
	"Redis slow":                       TestRel09_FaultStoreSlow,
	"Redis full":                       TestRel10_FaultRedisFull,
	"Redis emptied":                    TestRel11_FaultRedisEmptied,
	"Redis fails over":                 TestRel06_FaultFailover,
	"Push lost":                        TestRel04_FaultPushLost,
	"Database down, sessions in Redis": TestRel13_FaultDatabaseDown,
	"Database down, sessions in it":    TestRel13_FaultDatabaseDown,
	"Database locked":                  TestRel13_FaultDatabaseLocked,
	"Clock ahead or back":              TestRel14_FaultClock,
}

// column is an endpoint of the table: what it answers when nothing fails, and
// where a row's answers have it.
type column struct {
	name   string
	status func(*answers) *int                  // of a new request
	end    func(*answers) *websocket.StatusCode // of what is live
}

var columns = []column{
	{name: "sign-in", status: func(a *answers) *int { return &a.signIn }},
	{name: "`/auth/verify`", status: func(a *answers) *int { return &a.verify }},
	{name: "a page", status: func(a *answers) *int { return &a.page }},
	{name: "message socket, new", status: func(a *answers) *int { return &a.socket }},
	{name: "message socket, live", end: func(a *answers) *websocket.StatusCode { return &a.messages }},
	{name: "relay `POST`", status: func(a *answers) *int { return &a.exchange }},
	{name: "relay upgrade", status: func(a *answers) *int { return &a.upgrade }},
	{name: "live stream", end: func(a *answers) *websocket.StatusCode { return &a.data }},
	{name: "ending a session", status: func(a *answers) *int { return &a.revoke }},
	{name: "lookup", status: func(a *answers) *int { return &a.lookup }},
}

// asEver are the cells of what is answered, or goes on, as when nothing fails. What
// they say beyond that, the test of the row looks at.
var asEver = map[string]bool{
	"works": true, "opens": true, "stays": true, "slower": true, "the sign-in page": true, "waits": true,
	"waits; never answered before it is written":            true,
	"stays; ends within one poll when revoked":              true,
	"stays if it takes less than a lease":                   true,
	"stays until its topics are read again, then 4408":      true,
	"by the jumped clock":                                   true,
	"4401 when the jumped clock says that the time is over": true,
	"works; a clock put back brings nothing back":           true,
}

var (
	statusCell = regexp.MustCompile(`^(\d{3})( within 7 s| until promoted| within the login's life)?$`)
	endCell    = regexp.MustCompile(`^(44\d\d) (after one lease|within one poll)$`)
)

// set writes what a cell says into a row's answers.
func (c column) set(to *answers, cell string) error {
	status, end := statusCell.FindStringSubmatch(cell), endCell.FindStringSubmatch(cell)
	switch {
	case asEver[cell]:
	case status != nil && c.status != nil:
		*c.status(to), _ = strconv.Atoi(status[1]) // three digits
	case end != nil && c.end != nil:
		code, _ := strconv.Atoi(end[1]) // four digits
		*c.end(to) = websocket.StatusCode(code)
	default:
		return fmt.Errorf("%q means nothing under %q", cell, c.name)
	}
	return nil
}

// A faultRow is a row of the table: its cells by column.
type faultRow map[string]string

// faultTable reads the table.
var faultTable = sync.OnceValues(func() (map[string]faultRow, error) {
	raw, err := os.ReadFile("../deploy/README.md")
	if err != nil {
		return nil, err
	}
	_, section, found := strings.Cut(string(raw), "## When something fails")
	if !found {
		return nil, fmt.Errorf("deploy/README.md has no section “When something fails”")
	}
	var names []string
	rows := map[string]faultRow{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch {
		case !strings.HasPrefix(line, "|") && names != nil:
			return rows, nil // the first table is over
		case !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---"):
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if names == nil {
			names = cells
			continue
		}
		if len(cells) != len(names) {
			return nil, fmt.Errorf("the row %s has %d cells, want %d", cells[0], len(cells), len(names))
		}
		name, rest, _ := strings.Cut(strings.TrimPrefix(cells[0], "**"), "**")
		if _, where, found := strings.Cut(rest, ", sessions "); found {
			name += ", sessions " + where
		}
		rows[name] = faultRow{}
		for i := 1; i < len(cells); i++ {
			rows[name][names[i]] = cells[i]
		}
	}
	return rows, nil
})

// promised is what the table promises under a fault.
func promised(t *testing.T, row string) answers {
	t.Helper()
	rows, err := faultTable()
	if err != nil {
		t.Fatal(err)
	}
	want := allWell
	for _, c := range columns {
		if err := c.set(&want, rows[row][c.name]); err != nil {
			t.Errorf("the row %q: %v", row, err)
		}
	}
	return want
}

// The table has a test for each row, the tests have a row each, and every cell says
// something that a test can hold against an answer.
func TestFaultTableAndTestsAgree(t *testing.T) {
	rows, err := faultTable()
	if err != nil {
		t.Fatal(err)
	}
	got, want := slices.Sorted(maps.Keys(rows)), slices.Sorted(maps.Keys(faultTests))
	if !slices.Equal(got, want) {
		t.Errorf("the table has the rows\n%q\nand there are tests for\n%q", got, want)
	}
	for name, row := range rows {
		if len(row) != len(columns) {
			t.Errorf("the row %q has %d columns, %d are tested", name, len(row), len(columns))
		}
		promised(t, name)
	}
}
