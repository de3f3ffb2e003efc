package booking

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// Each line is one name as different people type it.
var spellingsOfOneName = [][]string{
	{"Ó Briain", "O’BRIAIN", "o briain", "obriain", "O'Briain", "Ó‘Briain", "OʼBriain", "O`Briain", "O´Briain", "O-Briain", "Ｏ＇Ｂｒｉａｉｎ", "ÓBriain"},
	{"Müller", "MUELLER", "Muller", "müller", "mu\u0308ller", "Mueller"},
	{"Weiß", "WEISS", "weiss", "WEIẞ", "Weiss"},
	{"Sørensen", "Sorensen", "SOERENSEN", "Sörensen"},
	{"Ångström", "Angstrom", "AANGSTROEM", "Ångström"},
	{"Łukasiewicz", "lukasiewicz", "LUKASIEWICZ"},
	{"Işık", "ISIK", "isik", "IŞIK"},
	{"İnönü", "inonu", "INONU", "Inoenue"},
	{"García Lorca", "garcia-lorca", "GARCIA LORCA", "GarciaLorca", "García\u00a0Lorca", "Garcia‐Lorca", "Garcia–Lorca"},
	{"Đorđević", "Dordevic", "DORDEVIC"},
	{"Þórsson", "Thorsson", "THORSSON"},
	{"Nguyễn", "nguyen", "NGUYEN", "Nguyê\u0303n"},
	{"Kāne", "kane", "KĀNE"},
	{"Ka‘ahumanu", "Kaʻahumanu", "Kaahumanu", "KA'AHUMANU"},
	{"Иванов", "ИВАНОВ", "Ivanov", "ivanov"},
	{"Щербаков", "Shcherbakov", "щербаков"},
	{"Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ", "Papadopoylos"},
	{"山田", "山 田", "山田 "},
	{"ﬁnch", "Finch", "FINCH"},
	{"D'Angelo", "Dangelo", "d’angelo", "D ANGELO", "Dˈangelo"},
	{"Œuvrard", "Oeuvrard", "OEUVRARD"},
	{"O", "Ó", "o"},
	{"Nuñez", "NUNEZ", "nun\u0303ez"},
	{"Æbeltoft", "Aebeltoft"},
	{"Çelik", "celik", "ÇELİK"},
}

func TestFoldJoinsSpellingsOfOneName(t *testing.T) {
	seen := map[string]string{}
	for _, names := range spellingsOfOneName {
		want := Fold(names[0])
		if want == "" {
			t.Errorf("nothing is left of %q", names[0])
		}
		for _, name := range names {
			if got := Fold(name); got != want {
				t.Errorf("%q folds to %q, %q to %q", name, got, names[0], want)
			}
		}
		if other, twice := seen[want]; twice {
			t.Errorf("%q and %q fold alike", names[0], other)
		}
		seen[want] = names[0]
	}
}

func TestFoldOfNothing(t *testing.T) {
	for _, s := range []string{"", " ", "-", "’'`´", "\u0301", "ʻʼ", "…", "\xff"} {
		if got := Fold(s); got != "" {
			t.Errorf("Fold(%q) = %q", s, got)
		}
		if got := Folds(s); got != nil {
			t.Errorf("Folds(%q) = %q", s, got)
		}
	}
}

func TestFoldsFindEitherSurname(t *testing.T) {
	for name, want := range map[string][]string{
		"García Lorca":         {"garcialorca", "garcia", "lorca"},
		"García de la Vega":    {"garciadelavega", "garcia", "delavega", "vega"},
		"García y López":       {"garciaylopez", "garcia", "ylopez", "lopez"},
		"O’Brien-Smith":        {"obriensmith", "obrien", "smith"},
		"Ó Briain":             {"obriain", "briain"},
		"van der Berg":         {"vanderberg", "berg"},
		"王 (Wang)":             {"王wang", "wang"},
		"Иванов / Ivanov":      {"ivanovivanov", "ivanov"},
		"X":                    {"x"},
		"Smith":                {"smith"},
		"Smith Smith":          {"smithsmith", "smith"},
		"De":                   {"de"},
		"Al-Khwārizmī al-Razi": {"alkhwarizmialrazi", "alkhwarizmi", "khwarizmi", "alrazi", "razi"},
	} {
		got := Folds(name)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("Folds(%q) = %q, without %q", name, got, w)
			}
		}
		if got[0] != Fold(name) {
			t.Errorf("Folds(%q) = %q does not begin with the whole", name, got)
		}
	}
}

func TestLonelyParticlesFindNothing(t *testing.T) {
	for _, f := range Folds("Ó Briain de la Vega") {
		if particles[f] || len(f) == 1 {
			t.Errorf("found under %q", f)
		}
	}
}

// The ways in which a name may be typed differently and still be found.
var distortions = map[string]func(string) string{
	"upper case": strings.ToUpper, "lower case": strings.ToLower, "title case": strings.ToTitle,
	"decomposed": norm.NFD.String, "composed": norm.NFC.String, "compatible": norm.NFKC.String,
	"spaced":      func(s string) string { return strings.Join(strings.Split(s, ""), " ") },
	"apostrophes": func(s string) string { return strings.ReplaceAll(s, "'", "’") },
	"none":        func(s string) string { return strings.NewReplacer("'", "", "-", "", " ", "").Replace(s) },
	"hyphens":     func(s string) string { return strings.ReplaceAll(s, " ", "‑") },
	"no marks": func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFD.String(s))
	},
	"umlauts spelt":     strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "å", "aa", "ø", "oe", "ß", "ss").Replace,
	"umlauts flattened": strings.NewReplacer("ä", "a", "ö", "o", "ü", "u", "å", "a", "ø", "o").Replace,
}

func TestFoldLaws(t *testing.T) {
	letters := []rune("abcdeghiklmnoprstuwyzäöüåøæßłıéíóúñçčšžřďťąęğşőű' -’ОИванщюα")
	rapid.Check(t, func(t *rapid.T) {
		name := norm.NFC.String(string(rapid.SliceOfN(rapid.SampledFrom(letters), 1, 24).Draw(t, "name")))
		fold := Fold(name)
		if again := Fold(fold); again != fold {
			t.Fatalf("folds to %q, which folds to %q", fold, again)
		}
		for what, distort := range distortions {
			if typed := distort(name); Fold(typed) != fold {
				t.Fatalf("%s: %q folds to %q, not %q", what, typed, Fold(typed), fold)
			}
		}
	})
}

func FuzzFold(f *testing.F) {
	for _, names := range spellingsOfOneName {
		for _, name := range names {
			f.Add(name)
		}
	}
	f.Fuzz(func(t *testing.T, name string) {
		fold := Fold(name)
		if again := Fold(fold); again != fold {
			t.Fatalf("%q folds to %q, which folds to %q", name, fold, again)
		}
		folds := Folds(name)
		if len(folds) > maxFolds || (len(folds) == 0) != (fold == "") || len(folds) > 0 && folds[0] != fold {
			t.Fatalf("Folds(%q) = %q", name, folds)
		}
		for _, f := range folds {
			if f == "" || strings.ContainsFunc(f, func(r rune) bool { return !counts(r) }) {
				t.Fatalf("Folds(%q) = %q", name, folds)
			}
		}
	})
}
