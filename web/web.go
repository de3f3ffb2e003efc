// Package web holds what people see: the pages, their stylesheet and ES
// modules, the JavaScript SDK for the authors of experiment UIs, and the sample
// experiment UI.
//
// Pages are html/template, complete without JavaScript: every step is a link or
// a form that answers with a redirect. The modules under static/js make the same
// pages live over one message socket. There is no bundler, no third-party script
// and nothing inline, so a page works under `default-src 'self'`.
//
// The package knows no store and no HTTP route of its own. The gateway fills the
// view types of views.go, sets every security header, and mounts the handlers:
//
//	/static/…  Static()   stylesheet, modules, icons; content-hashed, immutable
//	/sdk/…     SDK()      lodge.js, its components and types, readable from every origin
//	/assets/…  Samples()  namespaces of experiment UIs, on their own host name
package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed templates static sdk samples locales
var files embed.FS

// The names that Render takes, each with the view it renders.
const (
	PageHome       = "home"            // Home
	PageLogin      = "login"           // Login
	PageLookup     = "lookup"          // Lookup
	PageBooking    = "booking"         // BookingPage
	PageBook       = "book"            // Book
	PageLaunch     = "launch"          // Launch
	PageMessages   = "messages"        // Messages
	PageSurvey     = "survey"          // SurveyPage
	PageSurveys    = "surveys"         // Surveys
	PageSurveyEdit = "survey_edit"     // SurveyEdit
	PageResults    = "survey_results"  // SurveyResults
	PageWall       = "survey_wall"     // SurveyResults
	PageAttendance = "attendance"      // Attendance
	PageRegisters  = "registers"       // Registers
	PageRegister   = "register"        // RegisterPage
	PageScreen     = "register_screen" // RegisterScreen
	PageSessions   = "sessions"        // Sessions
	PageTeach      = "teach"           // Teach
	PageScheduled  = "scheduled"       // ScheduledPage
	PageRigs       = "rigs"            // Rigs
	PageAdmin      = "admin"           // Admin
	PageAdminEnd   = "admin_end"       // AdminEnd
	PageAudit      = "audit"           // Audit
	PageProblem    = "problem"         // ProblemPage
	PageSignedIn   = "signed_in"       // SignedIn
	PageCatalogue  = "catalogue"       // Catalogue
	PageRoles      = "roles"           // Roles
	PageGroup      = "group"           // GroupPage
	PageMember     = "member"          // MemberPage
	PageJoin       = "join"            // JoinPage
)

// Pages renders the pages and serves what they need. It is immutable once made
// and safe for concurrent use.
type Pages struct {
	pages   map[string]map[string]*page // by language and name
	mail    map[string]letters          // by language
	locales *locales
	static  *assets
	sdk     *assets
}

// New parses every template and hashes every asset. An error is a fault of the
// build, never of the installation.
func New() (*Pages, error) {
	locales, err := loadLocales(files)
	if err != nil {
		return nil, err
	}
	static, err := newAssets(files, "/static/", "", map[string]string{"static": "", "sdk/lodge.js": ""})
	if err != nil {
		return nil, err
	}
	if err := static.addWords(locales); err != nil {
		return nil, err
	}
	sdk, err := newSDK(files, locales)
	if err != nil {
		return nil, err
	}
	p := &Pages{pages: map[string]map[string]*page{}, mail: map[string]letters{}, locales: locales, static: static, sdk: sdk}
	for lang, printer := range locales.printers {
		if p.pages[lang], err = p.parse(printer); err != nil {
			return nil, err
		}
		if p.mail[lang], err = p.parseMail(printer); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// parse reads every template as it speaks one language.
func (p *Pages) parse(printer *Printer) (map[string]*page, error) {
	funcs := p.funcs(printer)
	base, err := template.New("layout").Funcs(funcs).ParseFS(files, "templates/parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: shared templates: %w", err)
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: templates: %w", err)
	}
	pages := map[string]*page{}
	for _, name := range names {
		own, err := template.New("page").Funcs(funcs).ParseFS(files, name)
		if err != nil {
			return nil, fmt.Errorf("web: %s: %w", name, err)
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = &page{whole: sync.OnceValues(func() (*template.Template, error) { return join(base, own) })}
	}
	return pages, nil
}

// A page is made of the shared templates and its own when it is first rendered:
// each has a copy of all the shared ones, which are most of what there is.
type page struct {
	whole func() (*template.Template, error)
}

func join(base, own *template.Template) (*template.Template, error) {
	whole, err := base.Clone()
	if err != nil {
		return nil, err
	}
	for _, t := range own.Templates() {
		if t.Tree == nil {
			continue
		}
		if _, err := whole.AddParseTree(t.Name(), t.Tree); err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// Render writes the named page with a status, in the language and the time zone
// that the view's Layout names. The page is built in memory first: on an error
// nothing has been written and the caller can still answer with another one. It sets Content-Type and Content-Length; caching and security
// headers are the gateway's.
func (p *Pages) Render(w http.ResponseWriter, status int, name string, data any) error {
	var layout Layout
	if l, ok := data.(interface{ layout() Layout }); ok {
		layout = l.layout()
	}
	page, ok := p.pages[layout.Say.Language()][name]
	if !ok {
		return fmt.Errorf("web: no page %q", name)
	}
	whole, err := page.whole()
	if err != nil {
		return fmt.Errorf("web: %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := whole.ExecuteTemplate(&b, "layout", inZone(data, layout.Zone)); err != nil {
		return fmt.Errorf("web: render %s: %w", name, err)
	}
	if f := layout.Filled; f != nil && layout.Problem != nil {
		if f.lost = f.missingIn(b.String()); len(f.lost) > 0 {
			b.Reset()
			if err := whole.ExecuteTemplate(&b, "layout", inZone(data, layout.Zone)); err != nil {
				return fmt.Errorf("web: render %s: %w", name, err)
			}
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("web: write %s: %w", name, err)
	}
	return nil
}

// Static serves /static/….
func (p *Pages) Static() http.Handler { return p.static }
