package postgres

import "testing"

func TestNodesAgreeOnSettings(t *testing.T) {
	url := fresh(t)
	one, other := open(t, url), open(t, url)
	for _, tt := range []struct {
		db          *DB
		name, value string
		want        bool
	}{
		{one, "root key", "a", true}, {other, "root key", "a", true}, {other, "root key", "b", false},
		{one, "root key", "", false}, {other, "another", "b", true}, {one, "root key", "a", true},
	} {
		if got, err := tt.db.Agree(t.Context(), tt.name, []byte(tt.value)); err != nil || got != tt.want {
			t.Errorf("%s %q: %v, %v", tt.name, tt.value, got, err)
		}
	}
}
