package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/lodge-gateway/lodge/internal/audit"
)

// auditHeadFile is where the head of the audit trail is kept, outside the
// database, unless the configuration says otherwise.
const auditHeadFile = "audit.head"

func (c config) auditHead() string {
	if c.AuditHeadFile != "" {
		return c.AuditHeadFile
	}
	return filepath.Join(c.Data, auditHeadFile)
}

var auditVerbs = []verb{
	{"verify", "[--after N] [--json] (--data DIR | --config FILE)", (*app).auditVerify},
}

func (a *app) audit(ctx context.Context, args []string) error {
	return a.choose(ctx, "audit", auditVerbs, args)
}

// errTampered is what auditVerify ends with after it has named what it found.
var errTampered = errors.New("the audit trail is not what was written")

// auditVerify looks whether entries of the audit trail were changed, are missing
// or were cut off, and names them. It changes nothing.
func (a *app) auditVerify(ctx context.Context, synopsis string, args []string) error {
	flags := a.flags("audit verify", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	after := flags.Uint64("after", 0, "begin behind this entry, when what is wrong before it is known")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	var report audit.Report
	err = ask(ctx, cfg.Data, "/audit/verify?after="+strconv.FormatUint(*after, 10), nil, &report)
	if errors.Is(err, errNoServer) {
		report, err = a.verifyOffline(ctx, cfg, *after)
	}
	if err != nil {
		return err
	}
	if *asJSON {
		err = json.NewEncoder(a.out).Encode(report)
	} else {
		for _, f := range report.Findings {
			fmt.Fprintf(a.out, "%s: %s\n", f.Kind, f.What)
		}
		_, err = fmt.Fprintf(a.out, "read %d entries, the last is %d\n", report.Entries, report.Head.Seq)
	}
	if err == nil && !report.Intact() {
		err = errTampered
	}
	return err
}

// verifyOffline reads the trail without opening it, which would write to it.
func (a *app) verifyOffline(ctx context.Context, cfg config, after uint64) (_ audit.Report, err error) {
	if cfg.Database == "" {
		if _, err := os.Stat(filepath.Join(cfg.Data, databaseFile)); err != nil {
			return audit.Report{}, fmt.Errorf("there is no database in %s", cfg.Data)
		}
	}
	keys, err := loadKeys(cfg.Data)
	if err != nil {
		return audit.Report{}, err
	}
	store, err := openStores(ctx, cfg, keys, a.logger(slog.LevelWarn))
	if err != nil {
		return audit.Report{}, err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	return audit.Verify(ctx, store.audit, keys.audit, cfg.auditHead(), after)
}
