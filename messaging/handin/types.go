package handin

import (
	"bytes"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// sniffed is how many bytes of a file tell what it is.
const sniffed = 512

// A kind is a type of file: what it is served as, and what its first bytes must
// look like to http.DetectContentType.
type kind struct {
	media string
	looks string // before any parameter
}

const plain, packed = "text/plain", "application/zip"

// kinds are the types that can be told by their contents, by extension. What runs
// in a browser (HTML, SVG, scripts of a page) is not among them.
var kinds = map[string]kind{
	"pdf": {"application/pdf", "application/pdf"},
	"png": {"image/png", "image/png"}, "gif": {"image/gif", "image/gif"}, "webp": {"image/webp", "image/webp"},
	"jpg": {"image/jpeg", "image/jpeg"}, "jpeg": {"image/jpeg", "image/jpeg"},
	"mp4": {"video/mp4", "video/mp4"}, "webm": {"video/webm", "video/webm"}, "wav": {"audio/wav", "audio/wave"},
	"zip":  {packed, packed},
	"docx": {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", packed},
	"xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", packed},
	"pptx": {"application/vnd.openxmlformats-officedocument.presentationml.presentation", packed},
	"odt":  {"application/vnd.oasis.opendocument.text", packed},
	"ods":  {"application/vnd.oasis.opendocument.spreadsheet", packed},
	"odp":  {"application/vnd.oasis.opendocument.presentation", packed},
	"txt":  {plain, plain}, "md": {plain, plain}, "csv": {"text/csv", plain}, "tsv": {plain, plain}, "json": {"application/json", plain},
	"tex": {plain, plain}, "py": {plain, plain}, "m": {plain, plain}, "r": {plain, plain}, "c": {plain, plain}, "ipynb": {"application/json", plain},
}

// Types lists every extension that a hand-in can allow.
func Types() []string { return slices.Sorted(maps.Keys(kinds)) }

// extension returns that of a file's name, in lower case and without the dot.
func extension(name string) string { return strings.ToLower(strings.TrimPrefix(path.Ext(name), ".")) }

// typeOf returns the media type of a file whose name and first bytes agree on one
// of the allowed types.
func typeOf(name string, head []byte, allowed []string) (string, error) {
	ext := extension(name)
	k, known := kinds[ext]
	if !known || !slices.Contains(allowed, ext) {
		return "", refuse("%q is of a type that is not taken here; hand in one of: %s.", name, strings.Join(allowed, ", "))
	}
	looks, _, _ := strings.Cut(http.DetectContentType(head), ";")
	if looks != k.looks || k.looks == plain && bytes.IndexByte(head, 0) >= 0 && !utf16(head) {
		return "", refuse("%q does not hold what its name says; save it as %s and hand it in again.", name, ext)
	}
	return k.media, nil
}

// utf16 reports whether text begins with a mark of UTF-16, which has zero bytes.
func utf16(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff"))
}
