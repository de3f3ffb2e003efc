package redis

import (
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// keys makes the keys of one tenant.
type keys struct{ prefix string }

func keysOf(tenant lodge.Tenant) keys { return keys{"lodge:{" + string(tenant) + "}:"} }

func (k keys) session(id sessions.ID) string { return k.prefix + "session:" + string(id) }

// ends is the sorted set of all session ids by their End, in milliseconds.
func (k keys) ends() string { return k.prefix + "ends" }

// index is a sorted set of session ids, all with the score 0, so in their order.
func (k keys) index(name, value string) string { return k.prefix + name + ":" + value }
func (k keys) all() string                     { return k.prefix + "all" }

// indexes returns every index that a session is in.
func (k keys) indexes(s *sessions.Session) []string {
	list := []string{k.all(), k.index("kind", string(s.Kind))}
	for name, value := range map[string]string{"person": string(s.Person), "booking": s.Booking, "idp": s.IdPSession} {
		if value != "" {
			list = append(list, k.index(name, value))
		}
	}
	return list
}

// narrowest returns the smallest index that holds all that a filter selects.
func (k keys) narrowest(f sessions.Filter) string {
	switch {
	case f.IdPSession != "":
		return k.index("idp", f.IdPSession)
	case f.Booking != "":
		return k.index("booking", f.Booking)
	case f.Person != "":
		return k.index("person", string(f.Person))
	case f.Kind != "":
		return k.index("kind", string(f.Kind))
	default:
		return k.all()
	}
}

// What the scripts answer.
const (
	saidOK      = "ok"
	saidExists  = "exists"
	saidUnknown = "unknown"
	saidStale   = "stale"
	saidRevoked = "revoked"
)

// createScript: KEYS record, ends, indexes…; ARGV record, id, end. The very same
// record again is a retry whose first answer was lost.
var createScript = redis.NewScript(`
local stored = redis.call('GET', KEYS[1])
if stored then
  if stored == ARGV[1] then return 'ok' end
  return 'exists'
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
for i = 3, #KEYS do redis.call('ZADD', KEYS[i], 0, ARGV[2]) end
return 'ok'
`)

// updateBody: KEYS record, ends; ARGV record, id, end, expected version as in the
// header. A retry whose first answer was lost is stale: were it let pass, two
// callers with the same change would both believe that they made it.
const updateBody = `
local head = redis.call('GETRANGE', KEYS[1], 0, HEADER - 1)
if #head < HEADER then return 'unknown' end
if string.byte(head, REVOKED) == 1 and string.byte(ARGV[1], REVOKED) == 0 then return 'revoked' end
if string.sub(head, VERSION, HEADER) ~= ARGV[4] then return 'stale' end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
return 'ok'
`

// removeScript: KEYS record, ends, indexes…; ARGV id, version as in the header.
// It leaves alone what was changed since the version was read.
var removeScript = redis.NewScript(header(`
local head = redis.call('GETRANGE', KEYS[1], 0, HEADER - 1)
if #head == HEADER and string.sub(head, VERSION, HEADER) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
for i = 2, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return 1
`))

var (
	updateScript = redis.NewScript(header(updateBody))
	// revokeScript is the same for a revocation, which must work on a full server.
	revokeScript = redis.NewScript("#!lua flags=allow-oom\n" + header(updateBody))
)

// header puts the places of the record's header, which Lua counts from 1, into a
// script.
func header(script string) string {
	return strings.NewReplacer(
		"HEADER", fmt.Sprint(sessions.RecordHeader),
		"REVOKED", fmt.Sprint(sessions.RecordRevoked+1),
		"VERSION", fmt.Sprint(sessions.RecordVersion+1),
	).Replace(script)
}
