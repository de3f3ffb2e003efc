package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the advisory lock under which a node looks at the schema and
// changes it: "lodge" in ASCII.
const migrationLock = 0x6c6f646765

// ErrNewerSchema says that the database was migrated by a newer Lodge.
var ErrNewerSchema = errors.New("postgres: the database's schema is newer than this Lodge")

// ErrUnreachable says that no server could be connected to.
var ErrUnreachable = errors.New("postgres: the database cannot be reached")

// migrate brings the schema to the newest version this binary knows. Of several
// nodes that start at once, one does it and the others wait. A schema from the
// future is refused: what this binary would write there is anyone's guess.
func migrate(ctx context.Context, config *pgx.ConnConfig) (err error) {
	config = config.Copy()
	for _, name := range []string{"statement_timeout", "lock_timeout"} { // a migration takes as long as it takes
		delete(config.RuntimeParams, name)
	}
	guard, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("%w; start PostgreSQL or mend its URL: %s", ErrUnreachable, strings.Join(strings.Fields(err.Error()), " "))
	}
	defer func() { // which frees the lock
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		err = errors.Join(err, guard.Close(end))
	}()
	if _, err := guard.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("postgres: migration lock: %w", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("postgres: migrations: %w", err)
	}
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("postgres: migrations: %w", err)
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return migrationError(err)
	}
	if has > knows {
		return fmt.Errorf("%w: it has version %d, this binary knows %d; start the newer Lodge, or restore the backup made before it", ErrNewerSchema, has, knows)
	}
	if _, err := provider.Up(ctx); err != nil {
		return migrationError(err)
	}
	return nil
}

// migrationError says what the operator of the server is to do about a role that
// may not change the schema, or a server that lacks the extension.
func migrationError(err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok:
	case strings.Contains(e.Message, "btree_gist") && e.Code == "42501":
		return fmt.Errorf("postgres: Lodge's role may not create the extension btree_gist; let a superuser run CREATE EXTENSION btree_gist in this database, or GRANT CREATE ON DATABASE to the role: %w", e)
	case strings.Contains(e.Message, "btree_gist"):
		return fmt.Errorf("postgres: the server lacks the extension btree_gist; install PostgreSQL's contributed modules (postgresql-contrib): %w", e)
	case e.Code == "42501":
		return fmt.Errorf("postgres: Lodge's role may not make its tables; let it own the database: %w", e)
	}
	return fmt.Errorf("postgres: migrations: %w", err)
}
