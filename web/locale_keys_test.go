package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// quoted is a text in a template.
const quoted = `"((?:[^"\\]|\\.)*)"`

var (
	templateText  = regexp.MustCompile(`[({]t ` + quoted)
	templateCount = regexp.MustCompile(`[({]tn (?:\([^()]*\)|\S+) ` + quoted + ` ` + quoted)
	templateCall  = regexp.MustCompile(`[({](?:t|tn) [^"]`)
)

// usedTexts finds every text that a page can show: the key of its entry, and
// whether that has plural forms.
func usedTexts(t *testing.T) (used map[string]bool, plural map[string]bool) {
	t.Helper()
	used, plural = map[string]bool{}, map[string]bool{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(name, "templates/"), strings.HasPrefix(name, "sdk/") && strings.HasSuffix(name, ".html"):
			for _, m := range templateText.FindAllStringSubmatch(string(body), -1) {
				used[unquote(t, m[1])] = true
			}
			for _, m := range templateCount.FindAllStringSubmatch(string(body), -1) {
				used[unquote(t, m[2])], plural[unquote(t, m[2])] = true, true
			}
			if n := len(templateCall.FindAll(body, -1)) - len(templateCount.FindAll(body, -1)); n != 0 {
				t.Errorf("%s: %d calls of t or tn whose text does not stand there; mark it with Text and use tr", name, n)
			}
		case strings.HasPrefix(name, "static/") && strings.HasSuffix(name, ".js"):
			for _, key := range scriptTexts(string(body)) {
				used[key] = true
			}
			for _, m := range regexp.MustCompile(`\btn\(`).FindAllIndex(body, -1) {
				if keys := scriptTexts(string(body[m[0]:])); len(keys) > 0 {
					plural[keys[0]] = !strings.HasPrefix(string(body[max(0, m[0]-9):m[0]]), "function ")
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", "../gateway", "../booking", "../sessions", "../idp", "../messaging", "../messaging/survey", "../messaging/attendance", "../messaging/handin", "../internal/storage/sqlite"} {
		sourceTexts(t, dir, used, plural)
	}
	return used, plural
}

func unquote(t *testing.T, s string) string {
	t.Helper()
	out, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return out
}

// texts says which argument of a function is a text that people read.
var texts = map[string]int{
	"Text": 0, "T": 0, "layout": 1, "problemOf": 1, "refused": 3, // of pages
	"E": 1, "Wrap": 1, "newRates": 2, "refuse": -1, // of errors: any that is a sentence
}

// forMachines are the files whose errors only programs and those who call the API
// by hand ever see: they stay English.
var forMachines = regexp.MustCompile(`/(oauth2.*|codes|introspect|interop|log_read|admin_commands|backchannel|routes|errors|catalogue|messages|sockets|tickets|verify|forward_auth.*|message_receipts|audit_list|schedule_node|snapshot|state_machine|asyncapi|relay_node|socket|socket|hub.*|receipts|presence_book|watch|browser|merged)\.go$`)

// sourceTexts adds the texts of a package's code.
func sourceTexts(t *testing.T, dir string, used, plural map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if field, ok := n.(*ast.KeyValueExpr); ok && !forMachines.MatchString("/"+filepath.ToSlash(path)) {
				if name, ok := field.Key.(*ast.Ident); ok && name.Name == "Safe" {
					if key := english(field.Value); key != "" {
						used[key] = true
					}
				}
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := called(call)
			if name == "N" && len(call.Args) >= 3 {
				if key := english(call.Args[2]); key != "" {
					used[key], plural[key] = true, true
				}
				return true
			}
			at, ok := texts[name]
			if !ok || (slices.Contains([]string{"E", "Wrap", "refuse", "newRates"}, name) && forMachines.MatchString("/"+filepath.ToSlash(path))) {
				return true
			}
			if (name == "E" || name == "Wrap") && called(&ast.CallExpr{Fun: call.Args[0]}) == "CodeInvalid" && !strings.Contains(path, "pages") {
				return true // the request cannot be read: no form of ours sends such a one
			}
			for i, arg := range call.Args {
				key := english(arg)
				if i != at && (at >= 0 || !strings.Contains(key, " ")) {
					continue
				}
				if key != "" && !strings.HasPrefix(key, "{1}") {
					used[key] = true
				}
			}
			return true
		})
	}
}

func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

var verbs = regexp.MustCompile(`%[dqsv]`)

// english is the text that an expression puts together, with {1}, {2}, … for what
// varies; empty when it holds no text.
func english(e ast.Expr) string {
	var b strings.Builder
	n, words := 0, false
	var add func(e ast.Expr)
	add = func(e ast.Expr) {
		switch e := e.(type) {
		case *ast.BasicLit:
			if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
				b.WriteString(s)
				words = true
				return
			}
		case *ast.BinaryExpr:
			if e.Op == token.ADD {
				add(e.X)
				add(e.Y)
				return
			}
		case *ast.CallExpr:
			if called(e) == "Sprintf" {
				add(e.Args[0])
				return
			}
		}
		n++
		b.WriteString("{" + strconv.Itoa(n) + "}")
	}
	add(e)
	if !words {
		return ""
	}
	return verbs.ReplaceAllStringFunc(b.String(), func(string) string {
		n++
		return "{" + strconv.Itoa(n) + "}"
	})
}
