package handin

import (
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxName is how many bytes a file's name may have: most file systems take 255,
// and what makes it unique comes on top.
const maxName = 160

// reserved are names that some systems do not take for a file's, whatever follows
// the first dot.
var reserved = map[string]bool{"con": true, "prn": true, "aux": true, "nul": true}

func init() {
	for _, n := range "123456789" {
		reserved["com"+string(n)], reserved["lpt"+string(n)] = true, true
	}
}

// cleanName makes a name of whatever somebody called a file, safe in a zip, in a
// header and on every common file system: no folder, no character that commands a
// terminal, a spreadsheet or the direction of writing, nothing hidden or reserved.
func cleanName(given string) string {
	given = strings.ToValidUTF8(given, "_")
	if i := strings.LastIndexAny(given, `/\`); i >= 0 {
		given = given[i+1:]
	}
	given = strings.Map(func(c rune) rune {
		switch {
		case unicode.Is(unicode.Cf, c), c == utf8.RuneError:
			return -1
		case unicode.IsControl(c), strings.ContainsRune(`<>:"|?*'`, c):
			return '_'
		case unicode.IsSpace(c):
			return ' '
		}
		return c
	}, norm.NFC.String(given))
	given = strings.TrimLeft(strings.Trim(given, ". "), "=+-@. ")
	ext := path.Ext(given)
	if len(ext) > 20 {
		ext = ""
	}
	stem := cut(strings.TrimRight(strings.TrimSuffix(given, ext), ". "), maxName-len(ext))
	first, _, _ := strings.Cut(stem, ".")
	if stem == "" || reserved[strings.ToLower(strings.TrimSpace(first))] {
		stem = "_" + stem
	}
	return stem + ext
}

// cut shortens s to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRight(s[:n], ". ")
}

// unique returns a name that taken does not have yet, whatever the case, and adds
// it.
func unique(taken map[string]bool, name string) string {
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for n := 2; taken[strings.ToLower(name)]; n++ {
		name = stem + " (" + strconv.Itoa(n) + ")" + ext
	}
	taken[strings.ToLower(name)] = true
	return name
}
