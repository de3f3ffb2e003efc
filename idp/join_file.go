package idp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge"
)

// minJoinCode is how long a join code in a file is at least, in bytes: a random one
// of letters and digits then has a hundred bits and more.
const minJoinCode = 20

// maxJoinFile bounds a file of join codes.
const maxJoinFile = 1 << 20

// A FileJoinCode is a join code that a file holds, readable.
type FileJoinCode struct {
	JoinCode
	Code string
}

// ReadJoinCodes reads join codes out of a file:
//
//	join_codes:
//	- {group: physics-1, code: 4kq7…, expires: 2026-12-24T00:00:00Z, limit: 200}
//
// expires and limit may be absent. An error never holds a code.
func ReadJoinCodes(r io.Reader, tenant lodge.Tenant) ([]FileJoinCode, error) {
	var file struct {
		JoinCodes []struct {
			Group   string    `yaml:"group"`
			Code    string    `yaml:"code"`
			Expires time.Time `yaml:"expires"`
			Limit   int       `yaml:"limit"`
		} `yaml:"join_codes"`
	}
	dec := yaml.NewDecoder(io.LimitReader(r, maxJoinFile))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New("idp: the file of join codes is no YAML with join_codes, each a group, a code, and perhaps expires and limit")
	}
	var out []FileJoinCode
	seen := map[string]bool{}
	for i, one := range file.JoinCodes {
		one.Code = strings.TrimSpace(one.Code)
		hash := HashJoinCode(one.Code)
		switch id := hex.EncodeToString(hash[:6]); {
		case !groupName(one.Group):
			return nil, fmt.Errorf("idp: join code %d of the file names no group", i+1)
		case len(one.Code) < minJoinCode || strings.ContainsAny(one.Code, " /?#%"):
			return nil, fmt.Errorf("idp: join code %d of the file is shorter than %d characters, or cannot stand in a link: draw one at random", i+1, minJoinCode)
		case one.Limit < 0:
			return nil, fmt.Errorf("idp: join code %d of the file has a limit below zero", i+1)
		case seen[id]:
			return nil, fmt.Errorf("idp: join code %d of the file is there twice", i+1)
		default:
			seen[id] = true
			out = append(out, FileJoinCode{JoinCode{
				Tenant: tenant, ID: "file-" + id, Group: one.Group, Hash: hash, ExpiresAt: one.Expires.UTC().Truncate(time.Microsecond), Limit: one.Limit,
			}, one.Code})
		}
	}
	return out, nil
}
