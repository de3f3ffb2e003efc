package idp

import (
	"net/url"
	"strings"
)

// maxReturn bounds a return URL, in bytes.
const maxReturn = 2048

// SafeReturn returns where to go after signing in: s when it is a path (with a
// query, without its fragment) on this origin, in whatever way a browser, a proxy
// or a router may read it, else "/". Whoever makes the link to a sign-in page
// chooses s, so anything doubtful is dropped rather than repaired.
func SafeReturn(s string) string {
	const home = "/"
	if len(s) > maxReturn || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || unsafeText(s) {
		return home
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return home
	}
	// What is harmless as it stands may be decoded on the way: "/%2f/host",
	// "/%5chost", "/%0d%0aSet-Cookie:".
	query, err := url.QueryUnescape(u.RawQuery)
	if err != nil || unsafeText(u.Path) || hasControl(query) {
		return home
	}
	// A query that a browser sent is encoded already.
	if strings.ContainsFunc(u.RawQuery, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return home
	}
	// Empty and dot segments are where parsers disagree about where a path begins.
	segments := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		if segment == "." || segment == ".." || segment == "" && !last {
			return home
		}
	}
	out := u.EscapedPath()
	if u.RawQuery != "" {
		out += "?" + u.RawQuery
	}
	if len(out) > maxReturn { // encoding makes it longer
		return home
	}
	return out
}

// unsafeText reports a backslash, which browsers read as a slash, or a control
// character, some of which they skip.
func unsafeText(s string) bool { return strings.Contains(s, `\`) || hasControl(s) }

// hasControl reports control characters of ASCII, of Unicode (C1, line and
// paragraph separator) and bytes that are not UTF-8.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 || r == 0xfffd
	})
}
