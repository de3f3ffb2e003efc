package sessions

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// maxValues is how large a browser's own values may be together, in bytes.
const maxValues = 8 << 10

// ErrValues is returned for values that are too large to be kept in a browser's
// session.
var ErrValues = fmt.Errorf("sessions: a browser's values take more than %d bytes", maxValues)

// valuesCodec is the scs.Codec of the browser's own small values: byte strings
// by name. The identity is not among them: it has fields of the Session. What it
// encodes is the deadline (8 bytes, microseconds, big endian) and then the number
// of values and each name and value with its length before it, ordered by name.
type valuesCodec struct{}

// valuesHeader is the length of the deadline.
const valuesHeader = 8

// Encode implements scs.Codec.
func (valuesCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	b := binary.BigEndian.AppendUint64(nil, uint64(deadline.UnixMicro()))
	if len(values) == 0 {
		return b, nil
	}
	b = binary.AppendUvarint(b, uint64(len(values)))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, ok := values[name].([]byte)
		if !ok {
			return nil, fmt.Errorf("sessions: the browser's value %q is a %T, not bytes", name, values[name])
		}
		b = appendText(appendText(b, name), string(value))
	}
	if len(b) > maxValues {
		return nil, ErrValues
	}
	return b, nil
}

// Decode implements scs.Codec.
func (valuesCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	if len(b) < valuesHeader {
		return time.Time{}, nil, errors.New("sessions: a browser's values are cut short")
	}
	deadline := time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC()
	values := map[string]any{}
	if len(b) == valuesHeader {
		return deadline, values, nil
	}
	r := recordReader{b: string(b[valuesHeader:])}
	for range r.count() {
		name := r.text()
		values[name] = []byte(r.text())
	}
	if r.bad || len(r.b) > 0 {
		return time.Time{}, nil, errors.New("sessions: a browser's values cannot be read")
	}
	return deadline, values, nil
}
