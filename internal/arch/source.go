package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Module is the path of Lodge's module.
const Module = "github.com/lodge-gateway/lodge"

// A File is one Go file of the module.
type File struct {
	Path    string // with slashes, from the root of the repository
	Dir     string // of Path; "." is the root package
	Test    bool
	Lines   int
	Package string
	Syntax  *ast.File
	fset    *token.FileSet
}

// At returns the place of a node, as path:line.
func (f File) At(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.Path, f.fset.Position(pos).Line)
}

// Source parses every Go file of the module at root, and of no module within it.
func Source(root string) ([]File, error) {
	var files []File
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name == root {
				return nil
			}
			if base := entry.Name(); strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		syntax, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(rel)
		files = append(files, File{
			Path: slashed, Dir: path.Dir(slashed), Test: strings.HasSuffix(slashed, "_test.go"),
			Lines: fset.File(syntax.Pos()).LineCount(), Package: syntax.Name.Name, Syntax: syntax, fset: fset,
		})
		return nil
	})
	return files, err
}
