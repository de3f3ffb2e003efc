package ws

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		alter  func(*http.Request)
		status int
	}{
		"as it should be":    {func(*http.Request) {}, 0},
		"other case":         {func(r *http.Request) { r.Header.Set("Upgrade", "WebSocket") }, 0},
		"among other tokens": {func(r *http.Request) { r.Header.Set("Connection", "keep-alive, Upgrade") }, 0},
		"no upgrade":         {func(r *http.Request) { r.Header.Del("Upgrade") }, 426},
		"another upgrade":    {func(r *http.Request) { r.Header.Set("Upgrade", "h2c") }, 426},
		"no connection":      {func(r *http.Request) { r.Header.Del("Connection") }, 426},
		"HTTP/1.0":           {func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 1, 0 }, 426},
		"POST":               {func(r *http.Request) { r.Method = http.MethodPost }, 405},
		"an old version":     {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, 426},
		"no key":             {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, 400},
		"two keys":           {func(r *http.Request) { r.Header.Add("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==") }, 400},
		"a short key":        {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "AAAA") }, 400},
		"no base64":          {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "************************") }, 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Sec-WebSocket-Version", "13")
			r.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
			tt.alter(r)
			w := httptest.NewRecorder()
			status, why := Check(w, r)
			if status != tt.status || (why == "") != (status == 0) {
				t.Errorf("%d, %q; want %d", status, why, tt.status)
			}
			if status == http.StatusUpgradeRequired && w.Header().Get("Upgrade")+w.Header().Get("Sec-WebSocket-Version") == "" {
				t.Error("it does not say what would do")
			}
		})
	}
}

// A frame of a client, cut anywhere, is waited for; whole, it is what was sent.
func TestHeadLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Head{Fin: rapid.Bool().Draw(t, "fin"), Op: rapid.SampledFrom([]byte{OpContinuation, OpText, OpBinary}).Draw(t, "op")}
		want.N = rapid.OneOf(rapid.Int64Range(0, 130), rapid.Int64Range(65530, 65540), rapid.Int64Range(0, 1<<62)).Draw(t, "n")
		copy(want.Mask[:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "mask"))
		op := want.Op
		if want.Fin {
			op |= FinBit
		}
		wire := AppendHead(nil, op, int(want.N))
		wire[1] |= maskBit
		wire = append(wire, want.Mask[:]...)
		for cut := range wire {
			if _, size, err := ParseHead(wire[:cut]); err != nil || size <= cut || size > len(wire) {
				t.Fatalf("%d of %d bytes: needs %d, %v", cut, len(wire), size, err)
			}
		}
		h, size, err := ParseHead(append(wire, "more"...))
		if err != nil || size != len(wire) || size > MaxHead || h != want {
			t.Fatalf("%+v of %d bytes, %v; want %+v", h, size, err, want)
		}
	})
}

// What no client may send is told apart by its close code.
func TestBreaches(t *testing.T) {
	for name, tt := range map[string]struct {
		wire []byte
		want *Breach
	}{
		"unmasked":            {[]byte{FinBit | OpText, 1, 'x'}, ErrUnmasked},
		"a reserved bit":      {[]byte{FinBit | 0x40 | OpText, maskBit, 0, 0, 0, 0}, ErrReserved},
		"an unknown opcode":   {[]byte{FinBit | 0x3, maskBit, 0, 0, 0, 0}, ErrReserved},
		"an unknown control":  {[]byte{FinBit | 0xB, maskBit, 0, 0, 0, 0}, ErrReserved},
		"a long ping":         {[]byte{FinBit | OpPing, maskBit | 126, 0, 126, 0, 0, 0, 0}, ErrControl},
		"half a ping":         {[]byte{OpPing, maskBit, 0, 0, 0, 0}, ErrControl},
		"a length beyond all": {[]byte{FinBit | OpText, maskBit | 127, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ErrLength},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := ParseHead(tt.wire); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte{FinBit | OpText, maskBit | 127, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4})
	f.Add([]byte{FinBit | OpPing, maskBit, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, size, err := ParseHead(b)
		switch {
		case err != nil:
			if _, ok := errors.AsType[*Breach](err); !ok {
				t.Errorf("%v is no breach", err)
			}
		case size < 2 || size > MaxHead:
			t.Errorf("a head of %d bytes", size)
		case size <= len(b) && (h.N < 0 || h.Op >= OpClose && h.N > MaxControl):
			t.Errorf("%+v", h)
		}
	})
}

// Masks come off in place, and into memory that begins before the source.
func TestUnmaskLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "payload")
		var mask [4]byte
		copy(mask[:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "mask"))
		back := rapid.IntRange(0, 20).Draw(t, "back")
		room := make([]byte, back+len(plain)+3)
		for i, b := range plain {
			room[back+i] = b ^ mask[i%4]
		}
		after := bytes.Clone(room[back+len(plain):])
		Unmask(room[:len(plain)], room[back:][:len(plain)], mask)
		if !bytes.Equal(room[:len(plain)], plain) || !bytes.Equal(room[back+len(plain):], after) {
			t.Fatalf("%x, want %x", room, plain)
		}
	})
}

func TestClosing(t *testing.T) {
	for name, tt := range map[string]struct {
		payload, answer string
		breach          bool
	}{
		"nothing":         {"", "", false},
		"a code":          {"\x03\xe8", "\x03\xe8", false},
		"a code, words":   {"\x03\xe8bye", "\x03\xe8", false},
		"half a code":     {"\x03", "", true},
		"no words":        {"\x03\xe8\xff", "", true},
		"one not to send": {"\x03\xee", "\x03\xea", false},
		"one of nobody's": {"\x0b\xb7", "\x03\xea", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := CloseAnswer([]byte(tt.payload))
			if string(got) != tt.answer || (err != nil) != tt.breach {
				t.Errorf("%x, %v", got, err)
			}
		})
	}
	long := AppendClose(nil, websocket.StatusGoingAway, string(make([]byte, 200)))
	if len(long) != 2+MaxControl || long[1] != MaxControl {
		t.Errorf("a frame of %d bytes says %d", len(long), long[1])
	}
}
