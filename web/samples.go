package web

import (
	"io/fs"
	"strings"
)

// Samples holds one directory per namespace of experiment UIs, as the assets
// host serves them: "pendulum" (the sample experiment's UI) and "sdk" (lodge.js,
// which UIs import as "../sdk/lodge.js").
func Samples() fs.FS { return samples{} }

// samples shows samples/* and sdk as siblings.
type samples struct{}

// Open implements fs.FS.
func (samples) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return files.Open(samplePath(name))
}

// ReadDir implements fs.ReadDirFS, so that the tree can be walked and copied.
func (samples) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	entries, err := files.ReadDir(samplePath(name))
	if err != nil || name != "." {
		return entries, err
	}
	root, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, e := range root {
		if e.Name() == "sdk" {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

func samplePath(name string) string {
	if name == "sdk" || strings.HasPrefix(name, "sdk/") {
		return name
	}
	if name == "." {
		return "samples"
	}
	return "samples/" + name
}
