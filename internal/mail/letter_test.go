package mail

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parsed reads a message as a mail program does: its header, and the body of each
// part by media type.
func parsed(t testing.TB, raw []byte) (*netmail.Message, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	collect(t, parts, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	return m, parts
}

func collect(t testing.TB, parts map[string]string, contentType, encoding string, body io.Reader) {
	t.Helper()
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(media, "multipart/") {
		reader := multipart.NewReader(body, params["boundary"])
		for {
			part, err := reader.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			collect(t, parts, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
		}
	}
	switch encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	parts[media] = string(text)
}

func subject(t testing.TB, m *netmail.Message) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAddress(t *testing.T) {
	for typed, want := range map[string]string{
		"ada@example.org":   "ada@example.org",
		" ada@example.org ": "ada@example.org",
		"o'brien+lab@a.org": "o'brien+lab@a.org",
		"søren@example.org": "søren@example.org",
		"":                  "", "ada": "", "@example.org": "", "ada@": "", "a@b@c": "", "Ada <ada@example.org>": "",
		"ada@example.org\r\nBcc: x@y.z": "", "ada@example.org,b@c.d": "", "ada@example.org\n": "ada@example.org",
		"\"a b\"@c.d": "", "a\x00b@c.d": "", "ada@[127.0.0.1]": "", strings.Repeat("a", 251) + "@b.c": "", "a\u202e@b.c": "",
	} {
		if got, ok := Address(typed); got != want || ok != (want != "") {
			t.Errorf("Address(%q) = %q, %t", typed, got, ok)
		}
	}
}

// What a letter may have in its header.
var headers = []string{
	"Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To", "X-Auto-Response-Suppress",
}

// Whatever is put into a letter, it gets no header, no address and no part more.
func FuzzLetter(f *testing.F) {
	f.Add("ada@example.org", "Ada", "Booked", "text", "<p>", "cal")
	f.Add("ada@example.org", "Ada\r\nBcc: eve@example.org", "x\r\n\r\nbody", "a\r\n.\r\nMAIL FROM:<x>", "\r\n--b", "\x00")
	f.Add("ada@example.org\r\nCc: eve@example.org", "=?utf-8?q?a?=", "=?utf-8?b?DQpCY2M6IGVAdg==?=", "", "", "")
	f.Add("ada@example.org", "Ada\u2028Bcc: e@v.e", "sub\u0085ject", "\xff", "\xfe", "\r")
	f.Fuzz(func(t *testing.T, address, name, subjectText, text, html, calendar string) {
		l := Letter{ID: "A1", To: address, Name: name, Subject: subjectText, Language: "en", Text: text, HTML: html, Calendar: calendar, At: letter().At}
		message, err := l.message(sender)
		if err != nil {
			return
		}
		var raw bytes.Buffer
		if _, err := message.WriteTo(&raw); err != nil {
			t.Fatal(err)
		}
		m, parts := parsed(t, raw.Bytes())
		if got := slices.Sorted(maps.Keys(m.Header)); !slices.Equal(got, headers) {
			t.Errorf("header %v", got)
		}
		for name, values := range m.Header {
			if len(values) != 1 {
				t.Errorf("%s: %q", name, values)
			}
		}
		to, err := netmail.ParseAddressList(m.Header.Get("To"))
		if want, _ := Address(address); err != nil || len(to) != 1 || to[0].Address != want {
			t.Errorf("to %v %v, want %q alone", to, err, want)
		}
		want := 2
		if calendar != "" {
			want = 3
		}
		if len(parts) != want {
			t.Errorf("parts %q", slices.Collect(maps.Keys(parts)))
		}
	})
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	folder, err := NewFolder(dir, sender)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := folder.Send(t.Context(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "20260504-090000-ABC123.eml" {
		t.Fatalf("%v %v", files, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	if m, parts := parsed(t, raw); subject(t, m) != letter().Subject || len(parts) != 3 {
		t.Errorf("%v %q", m.Header, parts)
	}
	bad := letter()
	bad.To = "nobody"
	if err := folder.Send(t.Context(), bad); err == nil {
		t.Error("a letter to no address was kept")
	}
	bad = letter()
	bad.ID = "../../x"
	if err := folder.Send(t.Context(), bad); err == nil {
		t.Error("an id that is a path was taken")
	}
}
