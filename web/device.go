package web

import (
	"strings"
	"unicode"
)

// What a user agent calls itself, the more particular first: most claim to be
// several browsers at once.
var (
	browsers = [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Vivaldi", "Vivaldi"}, {"FxiOS", "Firefox"}, {"Firefox", "Firefox"},
		{"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"},
	}
	systems = [][2]string{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"}, {"FreeBSD", "FreeBSD"},
	}
)

// maxProduct bounds the name that a program gives itself, in runes.
const maxProduct = 40

// DeviceName says in words what a User-Agent header stands for: the browser and
// the system, such as "Firefox on Linux". A program that is no browser is called
// what it calls itself first, without the version: "curl". The whole header must
// be given: what tells some browsers apart stands at its end.
func DeviceName(agent string) string {
	browser, system := named(browsers, agent), named(systems, agent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return Text("Unknown browser") + " on " + system
	default:
		return product(agent)
	}
}

func named(names [][2]string, agent string) string {
	for _, n := range names {
		if strings.Contains(agent, n[0]) {
			return n[1]
		}
	}
	return ""
}

// product is the first product of a User-Agent header (RFC 9110 section 10.1.5),
// as far as it is fit to be read.
func product(agent string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(agent), " ")
	name, _, _ = strings.Cut(name, "/")
	name = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > maxProduct {
		name = string(runes[:maxProduct])
	}
	if name == "" || name == "Mozilla" {
		return Text("Unknown device")
	}
	return name
}
