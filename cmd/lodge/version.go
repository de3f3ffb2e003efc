package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the release build (-ldflags -X main.version=…).
var version = ""

func (a *app) version(_ context.Context, args []string) error {
	fs := a.flags("version", "version [--json]")
	asJSON := fs.Bool("json", false, "print JSON")
	if err := parse(fs, args); err != nil {
		return err
	}
	v, revision := version, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(map[string]string{"version": v, "revision": revision, "go": runtime.Version()})
	}
	_, err := fmt.Fprintf(a.out, "lodge %s %s %s/%s\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
