package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root     = "../.."
	maxLines = 500
)

func source(t *testing.T) []File {
	t.Helper()
	files, err := Source(root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(f File) bool { return f.Path == "internal/arch/arch_test.go" }) {
		t.Fatal("the repository was not found")
	}
	return files
}

func TestImports(t *testing.T) {
	for _, offence := range Imports(source(t)) {
		t.Error(offence)
	}
}

// The rules themselves: what each must refuse, and what it must let through.
func TestImportsAreJudged(t *testing.T) {
	const own = Module + "/"
	for _, tt := range []struct {
		file, imports string
		want          string // part of the offence; empty: none
	}{
		{"lodge.go", "time", ""},
		{"lodge.go", "golang.org/x/sync/errgroup", "the standard library only"},
		{"lodge.go", own + "sessions", "none of Lodge's packages"},
		{"relay/room.go", Module, ""},
		{"relay/room.go", "github.com/coder/websocket", ""},
		{"relay/room.go", own + "sessions", "leaves never import one another"},
		{"relay/room_test.go", own + "messaging/survey", "leaves never import one another"},
		{"relay/room_test.go", own + "internal/wstest", ""},
		{"relay/room.go", own + "internal/wstest", "which helps tests"},
		{"relay/outbox.go", own + "internal/ws", ""},
		{"booking/booking.go", own + "internal/ws", "it may import ."},
		{"relay/room.go", own + "gateway", "it may import ."},
		{"messaging/survey/desk.go", own + "messaging", ""},
		{"messaging/survey/desk_test.go", own + "messaging/memory", ""},
		{"messaging/survey/desk.go", own + "messaging/memory", "which helps tests"},
		{"sessions/manager.go", own + "internal/storage/redis", "cmd/lodge alone picks back ends"},
		{"sessions/manager.go", "github.com/redis/go-redis/v9", "storage drivers stay in internal/storage"},
		{"sessions/manager_test.go", "database/sql", "storage drivers stay in internal/storage"},
		{"gateway/gateway.go", own + "relay", ""},
		{"gateway/gateway.go", own + "internal/storage/sqlite", "cmd/lodge alone picks back ends"},
		{"gateway/gateway.go", own + "idp/idptest", "which helps tests"},
		{"gateway/gateway_test.go", own + "internal/storage/sqlite", ""},
		{"gateway/gateway_test.go", own + "cmd/lodge", "it may import"},
		{"internal/storage/redis/db.go", "github.com/redis/go-redis/v9", ""},
		{"internal/storage/redis/db.go", own + "sessions", ""},
		{"internal/storage/redis/db.go", own + "internal/storage/sqlite", "do not know one another"},
		{"internal/storage/redis/db_test.go", own + "internal/storage/sqlite", ""},
		{"internal/storage/redis/db.go", own + "gateway", "it may import"},
		{"internal/storage/sqlite/log_test.go", own + "messaging/messagingtest", ""},
		{"cmd/lodge/node.go", own + "internal/storage/sqlite", ""},
		{"cmd/lodge/demo.go", own + "idp/idptest", ""},
		{"cmd/lodge/node.go", own + "sessions/sessionstest", "which helps tests"},
		{"cmd/lodge/node.go", "modernc.org/sqlite", "storage drivers stay in internal/storage"},
		{"utils/strings.go", Module, "not in the import table"},
	} {
		t.Run(tt.file+" "+strings.TrimPrefix(tt.imports, own), func(t *testing.T) {
			fset := token.NewFileSet()
			syntax, err := parser.ParseFile(fset, tt.file, "package p\nimport _ \""+tt.imports+"\"\n", parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			got := Imports([]File{{
				Path: tt.file, Dir: filepath.ToSlash(filepath.Dir(tt.file)), Test: strings.HasSuffix(tt.file, "_test.go"), Syntax: syntax, fset: fset,
			}})
			if tt.want == "" {
				if len(got) != 0 {
					t.Errorf("refused: %v", got)
				}
				return
			}
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.file+":2: ") || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q, want one that says %q", got, tt.want)
			}
		})
	}
}

// Every folder at the top is one that the architecture knows.
func TestTopLevelFolders(t *testing.T) {
	known := append([]string{"gateway", "internal", "cmd", "deploy"}, leaves...)
	ignored, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(ignored)) {
		known = append(known, strings.Trim(strings.TrimSpace(line), "/"))
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && !strings.HasPrefix(name, ".") && !slices.Contains(known, name) {
			t.Errorf("%s/ is a new folder at the top of the repository; put it where it belongs, or extend the layout on purpose", name)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, f := range source(t) {
		if !f.Test && f.Lines > maxLines {
			t.Errorf("%s has %d lines; split it by what it holds (at most %d)", f.Path, f.Lines, maxLines)
		}
	}
}

// Each package tells its story once, in one file.
func TestPackageComments(t *testing.T) {
	told := map[string][]string{}
	code := map[string]bool{}
	for _, f := range source(t) {
		if f.Test {
			continue
		}
		code[f.Dir] = true
		if f.Syntax.Doc == nil {
			continue
		}
		told[f.Dir] = append(told[f.Dir], f.Path)
		begins := []string{"Package " + f.Package + " "}
		if f.Package == "main" {
			name := filepath.Base(f.Dir)
			begins = []string{"Command " + name + " ", strings.ToUpper(name[:1]) + name[1:] + " "}
		}
		if text := f.Syntax.Doc.Text(); !slices.ContainsFunc(begins, func(b string) bool { return strings.HasPrefix(text, b) }) {
			t.Errorf("%s: the package comment begins with %q", f.Path, begins)
		}
	}
	for dir := range code {
		if n := len(told[dir]); n != 1 {
			t.Errorf("%s: the package has %d package comments %v; it needs one, in one file", dir, n, told[dir])
		}
	}
}

// A test that skips is one that nobody misses, and one that sleeps is slow where
// it is right and wrong where the machine is slow.
func TestNothingSkipsOrSleeps(t *testing.T) {
	banned := map[string]string{
		"Skip": "no test skips", "Skipf": "no test skips", "SkipNow": "no test skips", "testing.Short": "no test is left out for being long",
		"time.Sleep": "no test sleeps; await the event under a deadline, or use testing/synctest",
	}
	for _, f := range source(t) {
		if !f.Test && !helps(f.Dir) {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := selector.Sel.Name
			if of, ok := selector.X.(*ast.Ident); ok && banned[of.Name+"."+name] != "" {
				name = of.Name + "." + name
			}
			if why := banned[name]; why != "" {
				t.Errorf("%s: %s: %s", f.At(call.Pos()), name, why)
			}
			return true
		})
	}
}
