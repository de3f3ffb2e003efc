package arch

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The leaves: each is a part of the domain that knows the root package and
// itself. What two of them must do together is the gateway's.
var leaves = []string{"sessions", "idp", "booking", "messaging", "relay", "web"}

// table says which of Lodge's packages each folder may import besides its own
// subfolders. A name stands for the folder and all below it; "." is the root
// package.
var table = map[string][]string{
	".":                     {},
	"sessions":              {"."},
	"idp":                   {"."},
	"booking":               {"."},
	"messaging":             {".", "internal/ws"},
	"relay":                 {".", "internal/ws"},
	"web":                   {"."},
	"gateway":               {".", "sessions", "idp", "booking", "messaging", "relay", "web", "internal/audit", "internal/forwarded", "internal/mail", "internal/metrics"},
	"internal/storage":      {".", "sessions", "idp", "booking", "messaging", "relay", "internal/audit", "internal/durable"},
	"internal/audit":        {".", "internal/durable"},
	"internal/durable":      {},
	"internal/forwarded":    {},
	"internal/mail":         {},
	"internal/metrics":      {".", "sessions", "messaging", "relay"},
	"internal/simrig":       {".", "relay"},
	"internal/ws":           {}, // frames on the wire, no part of the domain; two leaves speak it
	"internal/wstest":       {},
	"internal/redistest":    {},
	"internal/postgrestest": {},
	"internal/natstest":     {},
	"internal/s3test":       {},
	"internal/buildtest":    {},
	"internal/freeport":     {},
	"internal/faultproxy":   {},
	"internal/soaktest":     {},
	"internal/hubnode":      {".", "messaging", "internal/storage"},
	"internal/booknode":     {".", "booking", "internal/storage"},
	"internal/arch":         {},
	"cmd":                   {".", "sessions", "idp", "booking", "messaging", "relay", "web", "gateway", "internal", "deploy"},
	"deploy":                {},
}

// forTests are what test files, and packages that help tests, may import on top.
var forTests = []string{"internal/wstest", "internal/redistest", "internal/postgrestest", "internal/natstest", "internal/s3test", "internal/buildtest", "internal/faultproxy", "internal/freeport", "internal/soaktest", "deploy"}

// gatewayTests join what the gateway joins, and so need real stores and a real
// issuer.
var gatewayTests = []string{"internal/storage", "internal/simrig"}

// inTheDemo are the helpers of tests that the demo is made of too.
var inTheDemo = []string{"idp/idptest"}

// measured are those that the bench measures beside what is used.
var measured = []string{"messaging/memory"}

// drivers speak to storage.
var drivers = []string{
	"database/sql", "modernc.org/sqlite", "github.com/pressly/goose", "github.com/redis/go-redis", "github.com/redis/rueidis",
	"github.com/jackc/pgx", "github.com/nats-io/nats.go", "github.com/minio/minio-go",
}

// driverFolders are where drivers are named: the folder of each technology, what
// runs its server for tests, and the bare limits that Lodge is measured against.
var driverFolders = []string{"internal/storage", "internal/redistest", "internal/postgrestest", "cmd/lodge-bench"}

// Imports returns every import that breaks the table, as "path:line: why".
func Imports(files []File) []string {
	var offences []string
	for _, f := range files {
		for _, spec := range f.Syntax.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				name = spec.Path.Value // the compiler refuses it
			}
			if why := refused(f, name); why != "" {
				offences = append(offences, f.At(spec.Pos())+": "+why)
			}
		}
	}
	return offences
}

// refused says why a file may not import a package, "" when it may.
func refused(f File, name string) string {
	own, ours := strings.CutPrefix(name+"/", Module+"/")
	if !ours {
		return foreign(f, name)
	}
	to := path.Clean(own)
	from := ownerOf(f.Dir)
	if from == "" {
		return fmt.Sprintf("the folder %s is not in the import table", f.Dir)
	}
	testing := f.Test || helps(f.Dir)
	demo := under(f.Dir, "cmd") && under(to, inTheDemo...)
	bench := under(f.Dir, "cmd/lodge-bench") && under(to, measured...)
	if helps(to) && !testing && !demo && !bench {
		return fmt.Sprintf("%s imports %s, which helps tests and nothing else", f.Dir, to)
	}
	if one, other := technology(f.Dir), technology(to); !testing && one != "" && other != "" && one != other {
		return fmt.Sprintf("%s imports %s: technologies of storage do not know one another", f.Dir, to)
	}
	if under(to, from) && from != "." && from != "cmd" || under(to, table[from]...) {
		return ""
	}
	if testing && under(to, forTests...) || f.Test && from == "gateway" && under(to, gatewayTests...) {
		return ""
	}
	if slices.Contains(leaves, from) && under(to, leaves...) {
		return fmt.Sprintf("%s imports %s: leaves never import one another; declare the small interface it needs, and the gateway adapts", f.Dir, to)
	}
	if under(to, "internal/storage") {
		return fmt.Sprintf("%s imports %s: cmd/lodge alone picks back ends", f.Dir, to)
	}
	return fmt.Sprintf("%s imports %s: it may import %s", f.Dir, to, allowed(from))
}

// foreign judges an import that is not Lodge's.
func foreign(f File, name string) string {
	if first, _, _ := strings.Cut(name, "/"); f.Dir == "." && !f.Test && strings.Contains(first, ".") {
		return fmt.Sprintf("the root package imports %s: it imports the standard library only", name)
	}
	if under(f.Dir, driverFolders...) {
		return ""
	}
	if under(name, drivers...) {
		return fmt.Sprintf("%s imports %s: storage drivers stay in internal/storage", f.Dir, name)
	}
	return ""
}

// ownerOf returns the folder of the table that a folder belongs to.
func ownerOf(dir string) string {
	best := ""
	for owner := range table {
		if owner == dir || strings.HasPrefix(dir, owner+"/") {
			if len(owner) > len(best) {
				best = owner
			}
		}
	}
	return best
}

// under reports whether a path is one of the folders or lies below one.
func under(name string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") })
}

// helps reports whether a package is there for tests alone: conformance suites
// and servers for tests end in test, and the log in memory is one.
func helps(dir string) bool {
	return strings.HasSuffix(dir, "test") || dir == "messaging/memory" || dir == "internal/faultproxy"
}

// technology returns which storage a folder is of, "" when it is of none.
func technology(dir string) string {
	rest, ok := strings.CutPrefix(dir, "internal/storage/")
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

func allowed(from string) string {
	if len(table[from]) == 0 {
		return "none of Lodge's packages"
	}
	return strings.Join(table[from], ", ") + " and what is below its own folder"
}
