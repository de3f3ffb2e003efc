package audit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// declared are the constants of type Action in audit.go.
func declared(t *testing.T) []Action {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "audit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []Action
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Action" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			all = append(all, Action(text))
		}
		return true
	})
	return all
}

// Every event can be searched for, and stands in deploy/README.md with its
// fields.
func TestSec41_EveryActionIsListedAndDocumented(t *testing.T) {
	want := declared(t)
	if got := Actions(); !slices.Equal(got, want) {
		t.Errorf("Actions has\n%v\ndeclared are\n%v", got, want)
	}
	raw, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(raw), "| event | about | why holds |")
	section, _, _ = strings.Cut(section, "\n\n")
	var documented []Action
	for line := range strings.Lines(section) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(first, -1) {
			documented = append(documented, Action(m[1]))
		}
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("deploy/README.md has\n%v\ndeclared are\n%v", documented, want)
	}
}
