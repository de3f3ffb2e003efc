package booking

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxSurname is the longest surname, in bytes, that is accepted.
const maxSurname = 200

// maxFolds bounds the rows that one surname makes.
const maxFolds = 12

// Fold reduces a surname to the letters that a lookup compares. Ways of typing
// the same name come out alike: whatever the case, with or without diacritics,
// with any apostrophe, hyphen or space or none, ü as u or ue, å as a or aa, ß as
// ss, Cyrillic and Greek in their own letters or in Latin ones. It is empty when
// nothing is left. Some different names come out alike too (Bauer, Baur), which
// is harmless: the reference tells the bookings apart. Fold(Fold(s)) == Fold(s).
func Fold(surname string) string {
	var out []rune
	for _, r := range norm.NFKD.String(lower(surname)) {
		for _, r := range norm.NFKD.String(latin(r)) {
			if !counts(r) {
				continue
			}
			if n := len(out); n > 0 && doubled(out[n-1], r) {
				continue
			}
			out = append(out, r)
		}
	}
	return string(out)
}

// lower lowers the case of letters, after compatibility forms of capitals
// (full-width, mathematical) have become plain ones.
func lower(s string) string { return strings.ToLower(norm.NFKD.String(s)) }

// doubled reports whether r only lengthens the vowel before it, as in the
// spellings ae, oe, ue of umlauts and aa of å.
func doubled(before, r rune) bool {
	return r == 'e' && (before == 'a' || before == 'o' || before == 'u') || r == 'a' && before == 'a'
}

// counts reports whether a rune is a letter or digit that tells names apart.
// Signs that look like apostrophes but are letters to Unicode do not.
func counts(r rune) bool {
	switch {
	case r >= 0x02B0 && r <= 0x02FF, r == 0xA78B, r == 0xA78C, r == 0x07F4, r == 0x07F5:
		return false // modifier letters (ʻokina, ʼ), saltillo, N'Ko apostrophes
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// latin spells a lower-case letter in plain Latin ones where there is one usual
// way to; Cyrillic as on passports (ICAO Doc 9303 part 3, section 6), Greek after
// ELOT 743.
func latin(r rune) string {
	if s, ok := spellings[r]; ok {
		return s
	}
	return string(r)
}

var spellings = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ħ': "h", 'ŋ': "n",
	'ŧ': "t", 'ı': "i", 'ĸ': "k", 'ə': "e", 'ǝ': "e", 'ɛ': "e", 'ɔ': "o", 'ɓ': "b", 'ɗ': "d", 'ƙ': "k", 'ƴ': "y",
	'ɨ': "i", 'ʉ': "u", 'ƒ': "f", 'ɖ': "d", 'ɣ': "g", 'ƶ': "z", 'ƀ': "b", 'ɲ': "n", 'ʋ': "v",

	'а': "a", 'б': "b", 'в': "v", 'г': "g", 'д': "d", 'е': "e", 'ж': "zh", 'з': "z", 'и': "i", 'к': "k", 'л': "l",
	'м': "m", 'н': "n", 'о': "o", 'п': "p", 'р': "r", 'с': "s", 'т': "t", 'у': "u", 'ф': "f", 'х': "kh", 'ц': "ts",
	'ч': "ch", 'ш': "sh", 'щ': "shch", 'ъ': "ie", 'ы': "y", 'ь': "", 'э': "e", 'ю': "iu", 'я': "ia", 'і': "i",
	'є': "ie", 'ґ': "g", 'ј': "j", 'љ': "lj", 'њ': "nj", 'ћ': "c", 'ђ': "d", 'џ': "dz", 'ѕ': "dz",

	'α': "a", 'β': "v", 'γ': "g", 'δ': "d", 'ε': "e", 'ζ': "z", 'η': "i", 'θ': "th", 'ι': "i", 'κ': "k", 'λ': "l",
	'μ': "m", 'ν': "n", 'ξ': "x", 'ο': "o", 'π': "p", 'ρ': "r", 'σ': "s", 'ς': "s", 'τ': "t", 'υ': "y", 'φ': "f",
	'χ': "ch", 'ψ': "ps", 'ω': "o",
}

// particles go with the name after them and are none by themselves.
var particles = map[string]bool{}

func init() {
	for _, p := range strings.Fields("a al ap ab abu af an av ben bin bint d da dal das de del dela della den der des " +
		"di do dos du e el en et fitz i ibn ibnu ka la las le les lo los mac mc mhic na ne ni nic o oude san santa sant st te " +
		"ten ter uí ui un van vande vanden vander vd ver vom von y z zu zum zur") {
		particles[Fold(p)] = true
	}
}

// Folds returns what a booking made for a surname can be found under, without
// repetition: all of the name first, then each of several surnames, with and
// without the particles before it, then each two that follow one another.
func Folds(surname string) []string {
	whole := Fold(surname)
	if whole == "" {
		return nil
	}
	folds := []string{whole}
	add := func(f string) {
		if f != "" && len(folds) < maxFolds && !slices.Contains(folds, f) {
			folds = append(folds, f)
		}
	}
	prefix := ""
	var parts []string
	for _, part := range strings.FieldsFunc(surname, separates) {
		f := Fold(part)
		if f == "" {
			continue
		}
		if particles[f] || len(f) == 1 {
			prefix += part
			continue
		}
		add(Fold(prefix + part))
		add(f)
		parts = append(parts, prefix+part)
		prefix = ""
	}
	for i := 1; i < len(parts); i++ { // one of the surnames may be a double one
		add(Fold(parts[i-1] + parts[i]))
	}
	return folds
}

// separates reports whether a rune parts two surnames: spaces, dashes, and the
// brackets, strokes and dots around a name in a second script.
func separates(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Ps, unicode.Pe) ||
		strings.ContainsRune("/,;·・‧＝.", r)
}
