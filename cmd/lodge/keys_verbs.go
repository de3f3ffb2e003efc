package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lodge-gateway/lodge/internal/durable"
)

var keysVerbs = []verb{
	{"list", "[--json] (--data DIR | --config FILE)", (*app).keysList},
	{"rotate", "[--json] (--data DIR | --config FILE)", (*app).keysRotate},
}

// keys lists and rotates the root keys. A server reads them when it starts.
func (a *app) keys(ctx context.Context, args []string) error {
	return a.choose(ctx, "keys", keysVerbs, args)
}

// keyView is a root key without the key.
type keyView struct {
	ID      string `json:"id"`
	Current bool   `json:"current"` // what is new is sealed under it
	First   bool   `json:"first"`   // what never changes is derived from it
}

func (r roots) views() []keyView {
	var all []keyView
	for i, k := range r.keys {
		all = append(all, keyView{ID: k.id, Current: k.id == r.current, First: i == 0})
	}
	return all
}

func (a *app) keysList(_ context.Context, synopsis string, args []string) error {
	cfg, asJSON, err := a.keysFlags("keys list", synopsis, args)
	if err != nil {
		return err
	}
	have, err := loadRoots(cfg.Data)
	if err != nil {
		return err
	}
	return a.showKeys(have, asJSON)
}

// keysRotate takes the next of the two steps of a rotation: at first all nodes
// get a new key to open with, then they begin to seal under it. Old keys stay, for
// what was sealed under them.
func (a *app) keysRotate(_ context.Context, synopsis string, args []string) error {
	cfg, asJSON, err := a.keysFlags("keys rotate", synopsis, args)
	if err != nil {
		return err
	}
	before, err := loadRoots(cfg.Data)
	if err != nil {
		return err
	}
	after := before.rotated()
	if err := durable.Replace(filepath.Join(cfg.Data, rootKeyFile), []byte(after.text())); err != nil {
		return fmt.Errorf("root key: %w", err)
	}
	if asJSON {
		return a.showKeys(after, true)
	}
	newest := after.keys[len(after.keys)-1].id
	if after.current == before.current {
		_, err = fmt.Fprintf(a.out, "Key %s was added; nothing is sealed under it yet.\nCopy %s to every node and into the backup, restart all of them, then rotate again.\n", newest, rootKeyFile)
	} else {
		_, err = fmt.Fprintf(a.out, "Key %s is current.\nCopy %s to every node and into the backup and restart them, one after the other. Keep the other keys: what was sealed under them stays so.\n", newest, rootKeyFile)
	}
	return err
}

func (a *app) keysFlags(name, synopsis string, args []string) (config, bool, error) {
	flags := a.flags(name, synopsis)
	given, file := settingFlags(flags, "data")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return config{}, false, err
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err == nil {
		if _, missing := os.Stat(filepath.Join(cfg.Data, rootKeyFile)); missing != nil {
			err = fmt.Errorf("there is no %s in %s; a server makes it when it starts for the first time", rootKeyFile, cfg.Data)
		}
	}
	return cfg, *asJSON, err
}

func (a *app) showKeys(r roots, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.out).Encode(map[string]any{"keys": r.views()})
	}
	rows := [][]string{{"ID", "CURRENT", "FIRST"}}
	yes := map[bool]string{true: "yes", false: ""}
	for _, k := range r.views() {
		rows = append(rows, []string{k.ID, yes[k.Current], yes[k.First]})
	}
	return a.table(rows)
}
