package gateway_test

import (
	"html"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
)

// A templateForm is a form of the pages that is posted, with the names of the fields
// that people fill in. What a template computes is {} in both.
type templateForm struct {
	action string
	fields []string
	files  bool
}

// templateForms reads every form that is posted out of the templates of the pages.
func templateForms(t *testing.T) []templateForm {
	t.Helper()
	var names []string
	trees := map[string]map[string]*parse.Tree{} // of each file
	for _, pattern := range []string{"../web/templates/parts/*.html", "../web/templates/*.html"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d, %v", pattern, len(found), err)
		}
		names = append(names, found...)
	}
	shared := map[string]*parse.Tree{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		own := map[string]*parse.Tree{}
		tree := parse.New(name)
		tree.Mode = parse.SkipFuncCheck
		if _, err := tree.Parse(string(text), "", "", own); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name, "/parts/") {
			maps.Copy(shared, own)
		} else {
			trees[name] = own
		}
	}
	var all []templateForm
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		defined := maps.Clone(shared)
		maps.Copy(defined, trees[name])
		content := flat(defined, defined["content"].Root, nil)
		if len(all) == 0 { // what surrounds every page is looked at once
			content = flat(defined, defined["layout"].Root, nil)
		}
		for _, form := range formPattern.FindAllStringSubmatch(content, -1) {
			if f := (templateForm{action: attribute(form[1], "action")}); attribute(form[1], "method") == "post" {
				for _, field := range fieldPattern.FindAllStringSubmatch(form[2], -1) {
					kind := attribute(field[2], "type")
					switch {
					case kind == "file":
						f.files = true
					case kind != "hidden" && !hiddenPattern.MatchString(field[2]):
						f.fields = append(f.fields, attribute(field[2], "name"))
					}
				}
				all = append(all, f)
			}
		}
	}
	return all
}

// flat is the text of a template with all its branches, one after the other.
func flat(defined map[string]*parse.Tree, node parse.Node, within []string) string {
	switch n := node.(type) {
	case *parse.ListNode:
		var b strings.Builder
		if n != nil {
			for _, one := range n.Nodes {
				b.WriteString(flat(defined, one, within))
			}
		}
		return b.String()
	case *parse.TextNode:
		return string(n.Text)
	case *parse.ActionNode:
		if len(n.Pipe.Decl) > 0 {
			return ""
		}
		return "{}"
	case *parse.IfNode:
		return flat(defined, n.List, within) + flat(defined, n.ElseList, within)
	case *parse.RangeNode:
		return flat(defined, n.List, within) + flat(defined, n.ElseList, within)
	case *parse.WithNode:
		return flat(defined, n.List, within) + flat(defined, n.ElseList, within)
	case *parse.TemplateNode:
		if defined[n.Name] == nil || slices.Contains(within, n.Name) {
			return ""
		}
		return flat(defined, defined[n.Name].Root, append(slices.Clone(within), n.Name))
	}
	return ""
}

var (
	formPattern     = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	fieldPattern    = regexp.MustCompile(`(?s)<(input|select|textarea)\b([^>]*)>`)
	controlPattern  = regexp.MustCompile(`(?s)<input\b([^>]*)>|<textarea\b([^>]*)>(.*?)</textarea>|<select\b([^>]*)>(.*?)</select>`)
	optionPattern   = regexp.MustCompile(`(?s)<option\b([^>]*)>`)
	hiddenPattern   = regexp.MustCompile(`\shidden(\s|$)`)
	checkedPattern  = regexp.MustCompile(`\schecked(\s|$)`)
	selectedPattern = regexp.MustCompile(`\sselected(\s|$)`)
	typedPattern    = regexp.MustCompile(`(?s)<dd[^>]*>(.*?)</dd>`)
	alertPattern    = regexp.MustCompile(`(?s)<(?:div|p)[^>]*role="alert"[^>]*>(.+?)</(?:div|p)>`)
)

// attribute is the value of an attribute of a tag.
func attribute(tag, name string) string {
	_, rest, _ := strings.Cut(tag, " "+name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

// wouldSend is what the forms of a page with one of these addresses would send as they
// stand.
func wouldSend(page string, addresses ...string) url.Values {
	out := url.Values{}
	for _, form := range formPattern.FindAllStringSubmatch(page, -1) {
		if !slices.Contains(addresses, attribute(form[1], "action")) {
			continue
		}
		for _, c := range controlPattern.FindAllStringSubmatch(form[2], -1) {
			switch {
			case c[2] != "":
				out.Add(attribute(c[2], "name"), html.UnescapeString(strings.TrimPrefix(c[3], "\n")))
			case c[4] != "":
				options := optionPattern.FindAllStringSubmatch(c[5], -1)
				chosen := slices.IndexFunc(options, func(o []string) bool { return selectedPattern.MatchString(o[1]) })
				if len(options) > 0 {
					out.Add(attribute(c[4], "name"), attribute(options[max(chosen, 0)][1], "value"))
				}
			default:
				kind := attribute(c[1], "type")
				if kind != "checkbox" && kind != "radio" || checkedPattern.MatchString(c[1]) {
					out.Add(attribute(c[1], "name"), attribute(c[1], "value"))
				}
			}
		}
	}
	return out
}

// toldAbout is what a page says was typed, to be copied.
func toldAbout(page string) []string {
	_, typed, _ := strings.Cut(page, `data-testid="typed"`)
	typed, _, _ = strings.Cut(typed, "</dl>")
	var out []string
	for _, one := range typedPattern.FindAllStringSubmatch(typed, -1) {
		out = append(out, html.UnescapeString(one[1]))
	}
	return out
}
