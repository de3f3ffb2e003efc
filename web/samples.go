package web

import "io/fs"

// Samples holds one directory per namespace of experiment UIs, as the assets
// host serves them: "pendulum", the UI of the sample experiment. The assets host
// serves SDK() beside them as namespace "sdk": a UI imports "../sdk/lodge.js".
func Samples() fs.FS {
	sub, err := fs.Sub(files, "samples")
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return sub
}
