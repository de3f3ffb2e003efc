package idptest

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"unicode/utf8"
)

var (
	//go:embed page.html
	pageText string
	//go:embed style.css
	styleText []byte

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"initial": initial}).Parse(pageText))
)

// view is what a page shows.
type view struct {
	Issuer   string
	Title    string
	Text     string
	Problem  string // what went wrong, if anything
	Client   string // the host of the application that waits
	Accounts []Account
	Params   []param // of the authorization request, carried by the form
}

type param struct{ Name, Value string }

func initial(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	return string(r)
}

// form shows the accounts to choose from.
func (p *provider) form(w http.ResponseWriter, q url.Values, problem string) {
	v := view{Title: "Choose an account", Problem: problem, Accounts: p.cfg.Accounts}
	for _, name := range passedOn {
		if q.Has(name) {
			v.Params = append(v.Params, param{name, q.Get(name)})
		}
	}
	// Browsers hold a form's redirects to form-action as well.
	origin := ""
	if u, err := url.Parse(q.Get("redirect_uri")); err == nil {
		v.Client = u.Host
		origin = " " + u.Scheme + "://" + u.Host
	}
	status := http.StatusOK
	if problem != "" {
		status = http.StatusUnprocessableEntity
	}
	p.page(w, status, origin, v)
}

// home is what somebody sees who opens the issuer by itself.
func (p *provider) home(w http.ResponseWriter, _ *http.Request) {
	p.page(w, http.StatusOK, "", view{
		Title: "Nothing to do here",
		Text:  "This page signs people in to Lodge while it is being developed. Open Lodge and choose “Sign in” there.",
	})
}

func (p *provider) fail(w http.ResponseWriter, problem string) {
	p.page(w, http.StatusBadRequest, "", view{Title: "This sign-in cannot go on", Problem: problem, Text: "Go back to Lodge and start again."})
}

// page writes a page that loads its own style and nothing else, sends its form to
// the issuer and from there to target ("" or a space and an origin), and cannot
// be framed.
func (p *provider) page(w http.ResponseWriter, status int, target string, v view) {
	v.Issuer = p.cfg.Name
	var buf bytes.Buffer
	if err := pageTemplate.Execute(&buf, v); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'"+target+"; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // an error is a browser that has gone
}

func (p *provider) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(styleText) // an error is a browser that has gone
}
