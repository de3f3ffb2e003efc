package booking

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Surnames from around the world, as people write them themselves.
var worldSurnames = strings.Fields(`
	Ågren Øvergård Sørensen Bjørnsen Lindström Þorláksson Guðmundsdóttir Æbeltoft Müller Groß Weiß Jäger Köhler Schröder
	Łukasiewicz Wójcik Kowalczyk Żuławski Ćwikła Dvořák Novotná Šťastný Horváth Kovács Szabó Erdős Işık Yılmaz Çelik Öztürk
	Đorđević Živković Čović Hadžić Ionescu Țăran Șerban García Núñez Ibáñez Muñoz Gonçalves Araújo Magalhães
	Lefèvre Gérard Béranger Œuvrard D'Angelo De'Rossi O'Connor O’Neill Ó'Briain MacGregor Ní'Dhomhnaill Nguyễn Trần Đặng Phạm
	Иванов Щербаков Чайковская Кузнецов Шевченко Παπαδόπουλος Καζαντζάκης Χριστοδούλου 山田 佐藤 王 李 김 박
	Al-Khwārizmī Ben-Gurion Kaʻahumanu Kealoha Okonkwo Ọlátúnjí Ndiaye Diop Ramírez-Ortíz Smith-Jones X O Ng Wu Ó`)

// Whoever types a surname in any of the ways that people do finds the booking:
// property tests of each of those ways over the list, singly and in pairs.
func TestWorldSurnamesAreFoundHoweverTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.SampledFrom(worldSurnames).Draw(t, "surname")
		booked := one
		if rapid.Bool().Draw(t, "two surnames") {
			other := rapid.SampledFrom(worldSurnames).Draw(t, "second")
			booked = one + rapid.SampledFrom([]string{" ", "-", "‐", " - ", " / "}).Draw(t, "between") + other
			if len(Fold(one)) > 1 && !particles[Fold(one)] && len(Fold(other)) > 1 && !particles[Fold(other)] {
				for _, either := range []string{one, other} {
					if !slices.Contains(Folds(booked), Fold(either)) {
						t.Fatalf("%q is not found by %q", booked, either)
					}
				}
			}
		}
		for what, distort := range distortions {
			if typed := distort(booked); !slices.Contains(Folds(booked), Fold(typed)) {
				t.Fatalf("%s: %q is not found by %q", what, booked, typed)
			}
		}
		for _, mark := range []string{"'", "’", "‘", "ʼ", "ʻ", "`", "´", "＇", "′", ""} {
			typed := strings.NewReplacer("'", mark, "’", mark, "ʻ", mark).Replace(booked)
			if Fold(typed) != Fold(booked) {
				t.Fatalf("%q is not found by %q", booked, typed)
			}
		}
	})
}
