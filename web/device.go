package web

import "strings"

// What a user agent calls itself, the more particular first: most claim to be
// several browsers at once.
var (
	browsers = [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"FxiOS", "Firefox"}, {"Firefox", "Firefox"},
		{"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"},
	}
	systems = [][2]string{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// device says in words which browser a user agent is, on what; an agent it does
// not know speaks for itself.
func device(agent string) string {
	browser, system := named(browsers, agent), named(systems, agent)
	switch {
	case browser == "":
		return agent
	case system == "":
		return browser
	default:
		return browser + " on " + system
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
