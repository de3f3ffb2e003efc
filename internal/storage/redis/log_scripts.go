package redis

import (
	"encoding/binary"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/messaging"
)

// The keys of a topic. The topic is their hash tag, or as much of it as stands
// before a brace, so that all are in one slot of a Cluster.
const (
	// logMeta is a string: epoch, sequence and tag of the head, sequence and tag of
	// the floor, eight bytes each. Numbers are big-endian, so that its first 24
	// bytes are the head's position. There is none for a topic nobody wrote to.
	logMeta = "meta"
	// logEntries is a stream of the fields i (message ID), t (tag), b (body), whose
	// entries have the sequence number as the first part of their ids and 0 as the
	// second. Those up to the floor are out of sight and wait to be swept.
	logEntries = "entries"
	// logIDs is a hash from message IDs to sequence and tag, in 16 bytes.
	logIDs = "ids"
	// logSnapshot is a hash of rev, at (a position in 24 bytes) and data.
	logSnapshot = "snapshot"
)

func logKey(name messaging.Topic, part string) string {
	return "lodge:{t:" + string(name) + "}:" + part
}

func logKeys(name messaging.Topic, parts ...string) []string {
	keys := make([]string, len(parts))
	for i, part := range parts {
		keys[i] = logKey(name, part)
	}
	return keys
}

// How the scripts' answers begin.
const (
	logOK       = "ok"
	logConflict = "conflict"
	logLost     = "lost" // followed by meta
)

// logPrelude comes before each script: KEYS meta, entries. Lua's numbers are
// exact up to 2^53, which no topic reaches; a position from outside may hold any
// number, so it is only ever compared, and epochs and tags stay strings.
const logPrelude = `
local ZERO = string.rep('\0', 24)
local LAYOUT = '>c8I8c8I8c8'
local meta = redis.call('GET', KEYS[1])
local epoch, seq, tag, floor, floortag = nil, 0, nil, 0, string.rep('\0', 8)
if meta then epoch, seq, tag, floor, floortag = struct.unpack(LAYOUT, meta) end
local function pos(s, t)
  if s == 0 then return ZERO end
  return epoch .. struct.pack('>I8', s) .. t
end
local function number(p) return (struct.unpack('>I8', p, 9)) end
local function id(s) return string.format('%.0f-0', s) end
local function has(p)
  if p == pos(seq, tag) or p == pos(floor, floortag) then return true end
  if not meta or string.sub(p, 1, 8) ~= epoch then return false end
  local s = number(p)
  if s <= floor or s >= seq then return false end
  local e = redis.call('XRANGE', KEYS[2], id(s), id(s))[1]
  return e ~= nil and e[2][4] == string.sub(p, 17)
end
`

// A logLua is a script with its text: go-redis loses a script's hash when it is
// loaded in a pipeline.
type logLua struct {
	*redis.Script
	text string
}

// logScript makes a script that begins with the prelude. What frees memory must
// run on a full server.
func logScript(shebang, body string) logLua { return logText(shebang + logPrelude + body) }

func logText(text string) logLua { return logLua{redis.NewScript(text), text} }

const (
	logFrees = "#!lua flags=allow-oom\n"
	logReads = "#!lua flags=no-writes\n"
)

var (
	// logAppend: KEYS meta, entries, ids; ARGV an epoch for a new topic, the head
	// that is expected or nothing, then ID, tag and body of each message. It answers
	// with the epoch, and for each message 1 if it was there already or 0, sequence
	// and tag. Nothing fails between the first thing it writes and the last.
	logAppend = logScript("", `
local function there(name)
  local at = redis.call('HGET', KEYS[3], name)
  if at and struct.unpack('>I8', at) > floor then return at end
end
local places, known, all = {}, 0, (#ARGV - 2) / 3
for i = 3, #ARGV, 3 do
  local at = there(ARGV[i])
  if at then places[ARGV[i]], known = at, known + 1 end
end
if ARGV[2] ~= '' and known < all and (known > 0 or ARGV[2] ~= pos(seq, tag)) then return {'conflict'} end
epoch = epoch or ARGV[1]
local out, before = {}, seq
for i = 3, #ARGV, 3 do
  local at = places[ARGV[i]]
  if at then
    out[#out + 1] = '\1' .. at
  else
    seq, tag = seq + 1, ARGV[i + 1]
    at = struct.pack('>I8c8', seq, tag)
    places[ARGV[i]] = at
    redis.call('XADD', KEYS[2], id(seq), 'i', ARGV[i], 't', tag, 'b', ARGV[i + 2])
    redis.call('HSET', KEYS[3], ARGV[i], at)
    out[#out + 1] = '\0' .. at
  end
end
if seq > before then redis.call('SET', KEYS[1], struct.pack(LAYOUT, epoch, seq, tag, floor, floortag)) end
return {'ok', epoch .. table.concat(out)}
`)

	// logRead: KEYS meta, entries; ARGV a position, how many entries and how many
	// bytes at most (of IDs, bodies and 64 for each entry), 1 to read back. It answers with meta, 1 if there is
	// more, and id, message ID, tag and body of each entry. It asks for few at a
	// time: bodies may be large.
	logRead = logScript(logReads, `
local back = ARGV[4] == '1'
if not (back and ARGV[1] == ZERO) and not has(ARGV[1]) then return {'lost', meta or ''} end
local step, range, from, to = 1, 'XRANGE', number(ARGV[1]) + 1, seq
if back then
  step, range, to = -1, 'XREVRANGE', floor + 1
  from = ARGV[1] == ZERO and seq or number(ARGV[1]) - 1
end
local out = {'ok', meta or '', 0}
local left, room, ask = tonumber(ARGV[2]), tonumber(ARGV[3]), 8
while left > 0 and room > 0 and (to - from) * step >= 0 do
  ask = math.min(ask, left)
  local list = redis.call(range, KEYS[2], id(from), id(to), 'COUNT', ask)
  for _, e in ipairs(list) do
    if room <= 0 then break end
    for _, field in ipairs({e[1], e[2][2] or '', e[2][4] or '', e[2][6] or ''}) do out[#out + 1] = field end
    from = tonumber(string.match(e[1], '^%d+')) + step
    room = room - #(e[2][2] or '') - #(e[2][6] or '') - 64
    left = left - 1
  end
  if room > 0 and #list < ask then return out end
  ask = 64
end
if (to - from) * step >= 0 then out[3] = 1 end
return out
`)

	// logDiscard: KEYS meta, entries; ARGV a position. It moves the floor; logSweep
	// does the rest.
	logDiscard = logScript(logFrees, `
if meta and string.sub(ARGV[1], 1, 8) == epoch and number(ARGV[1]) < floor then return {'ok'} end
if not has(ARGV[1]) then return {'lost', meta or ''} end
redis.call('SET', KEYS[1], struct.pack(LAYOUT, epoch, seq, tag, number(ARGV[1]), string.sub(ARGV[1], 17)))
return {'ok'}
`)

	// logSweep: KEYS meta, entries, ids; ARGV how many entries at most. It answers
	// with how many it deleted. An ID may have been used again since.
	logSweep = logScript(logFrees, `
if floor == 0 then return {'ok', 0} end
local list = redis.call('XRANGE', KEYS[2], '-', id(floor), 'COUNT', ARGV[1])
if #list == 0 then return {'ok', 0} end
local names, gone = {}, {}
for i, e in ipairs(list) do names[i] = e[2][2] or '' end
for i, at in ipairs(redis.call('HMGET', KEYS[3], unpack(names))) do
  if at and struct.unpack('>I8', at) <= floor then gone[#gone + 1] = names[i] end
end
if #gone > 0 then redis.call('HDEL', KEYS[3], unpack(gone)) end
redis.call('XTRIM', KEYS[2], 'MINID', '=', id(tonumber(string.match(list[#list][1], '^%d+')) + 1))
return {'ok', #list}
`)

	// logDrop: KEYS meta, entries, ids, snapshot, whatever they hold. Redis frees
	// the memory behind its own back.
	logDrop = logText(logFrees + `
redis.call('UNLINK', unpack(KEYS))
return {'ok'}
`)

	// logSave: KEYS meta, entries, snapshot; ARGV revision that is expected,
	// position, data. It answers with the new revision.
	logSave = logScript("", `
if ARGV[2] == ZERO or not meta or string.sub(ARGV[2], 1, 8) ~= epoch then return {'lost', meta or ''} end
local stored = redis.call('HMGET', KEYS[3], 'rev', 'at')
local rev = stored[1] or '0'
if ARGV[1] ~= rev or stored[2] and number(ARGV[2]) < number(stored[2]) then return {'conflict'} end
if not has(ARGV[2]) then return {'lost', meta or ''} end
rev = string.format('%.0f', tonumber(rev) + 1)
redis.call('HSET', KEYS[3], 'rev', rev, 'at', ARGV[2], 'data', ARGV[3])
return {'ok', rev}
`)

	logScripts = []logLua{logAppend, logRead, logDiscard, logSweep, logDrop, logSave}
)

// logPosSize is the length of a position as the scripts know it.
const logPosSize = 24

func logPosBytes(p messaging.Pos) string {
	var b [logPosSize]byte
	binary.BigEndian.PutUint64(b[0:], p.Epoch)
	binary.BigEndian.PutUint64(b[8:], p.Seq)
	copy(b[16:], p.Tag[:])
	return string(b[:])
}

// logPos reads epoch, sequence and tag; before the first entry it is the zero
// position, whatever the epoch.
func logPos(epoch uint64, at string) messaging.Pos {
	p := messaging.Pos{Epoch: epoch, Seq: binary.BigEndian.Uint64([]byte(at))}
	if p.Seq == 0 {
		return messaging.Pos{}
	}
	copy(p.Tag[:], at[8:])
	return p
}

// logBounds reads meta into the bounds of a page.
func logBounds(meta string) (messaging.Page, error) {
	switch len(meta) {
	case 0:
		return messaging.Page{}, nil
	case 40:
	default:
		return messaging.Page{}, fmt.Errorf("%w: redis: what is stored of a topic is broken", messaging.ErrUnavailable)
	}
	epoch := binary.BigEndian.Uint64([]byte(meta))
	return messaging.Page{Head: logPos(epoch, meta[8:24]), Floor: logPos(epoch, meta[24:40])}, nil
}
