package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/internal/postgrestest"
)

// What a role lacks that may too little is said, with who can give it.
func TestRoleThatMayTooLittle(t *testing.T) {
	server := postgrestest.Shared(t)
	for i, tt := range []struct {
		name  string
		given []string // statements of a superuser in the database; %s is the role
		want  string   // empty: it opens
	}{
		{"nothing", nil, "let it own the database"},
		{"tables alone", []string{"GRANT ALL ON SCHEMA public TO %s"}, "CREATE EXTENSION btree_gist"},
		{"tables, with the extension there", []string{"GRANT ALL ON SCHEMA public TO %s", "CREATE EXTENSION btree_gist"}, ""},
		{"the database", []string{"GRANT ALL ON SCHEMA public TO %s", "GRANT CREATE ON DATABASE %d TO %s"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := server.Database(t)
			admin, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			role := fmt.Sprintf("little%d", i)
			run := func(statement string) {
				t.Helper()
				if _, err := admin.Exec(context.Background(), statement); err != nil {
					t.Fatal(err)
				}
			}
			run("CREATE ROLE " + role + " LOGIN")
			t.Cleanup(func() {
				run("DROP OWNED BY " + role)
				run("DROP ROLE " + role)
				if err := admin.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
			for _, statement := range tt.given {
				run(strings.NewReplacer("%s", role, "%d", admin.Config().Database).Replace(statement))
			}
			db, err := Open(t.Context(), strings.Replace(url, "://lodge@", "://"+role+"@", 1), quick())
			switch {
			case err == nil:
				if err := db.Close(); err != nil {
					t.Error(err)
				}
				if tt.want != "" {
					t.Error("opened")
				}
			case tt.want == "" || !strings.Contains(err.Error(), tt.want):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
