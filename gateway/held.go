package gateway

import (
	"errors"
	"io"
	"maps"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/web"
)

// A form whose handler was not reached, or could not show it again, is held: the
// page of the error carries what was typed, to be sent once more. It is kept in that
// page alone. No address, no log and no store has it.

const (
	// maxHeldParts bounds the text of a held form with files, in bytes; any other form
	// is bounded by Config.MaxBody.
	maxHeldParts = 1 << 20
	// maxRefusedBodies bounds how many large bodies of refused requests are read at once,
	// for whoever sent them may be nobody we know. One more is cut off, unread.
	maxRefusedBodies = 32
	// signedInPath is where somebody ends up who signs in while another tab keeps
	// their form.
	signedInPath = "/signed-in"
)

// notRepeated are the fields that no page repeats: who reads them can act by them.
var notRepeated = map[string]bool{"code": true, "reference": true, "password": true, "token": true}

// held is the form that a refused request sent, or nil. A request that no page of
// ours is known to have sent is not repeated: what another site filled in is not what
// the reader typed.
func (g *Gateway) held(w http.ResponseWriter, r *http.Request, f failure) *web.Held {
	if r.Method != http.MethodPost || !fromOurPage(r) {
		return nil
	}
	switch r.URL.Path {
	case linkPath, sharePath: // their keys are in a link, which can be opened again
		return nil
	}
	h := &web.Held{To: r.URL.EscapedPath()}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/x-www-form-urlencoded":
		if r.PostForm == nil {
			h.TooLarge = g.readForm(w, r) != nil
		}
	case "multipart/form-data":
		if h.Parts, h.TooLarge = true, !g.readParts(w, r); !h.TooLarge {
			h.Files = slices.Sorted(maps.Keys(r.MultipartForm.File))
		}
	default:
		return nil
	}
	if h.TooLarge || f.status == http.StatusRequestEntityTooLarge {
		return &web.Held{TooLarge: true}
	}
	for name := range r.PostForm {
		if notRepeated[name] {
			h.Secrets = append(h.Secrets, name)
		}
	}
	slices.Sort(h.Secrets)
	h.Fields = web.FieldsOf(repeatable(r.PostForm))
	h.Wait = int(math.Ceil(f.retry.Seconds()))
	reauthenticate, _ := f.details["reauthenticate"].(string)
	switch {
	case f.details["idle"] == true:
		if idp.SafeReturn(h.To) == h.To {
			h.Idle, h.To = true, "/continue?to="+url.QueryEscape(h.To)
		}
	case reauthenticate != "":
		h.SignIn = reauthenticate + "&return=" + url.QueryEscape(signedInPath)
	case f.status == http.StatusUnauthorized:
		h.SignIn = "/login?return=" + url.QueryEscape(signedInPath)
	}
	return h
}

// repeatable is a form without what no page repeats.
func repeatable(form url.Values) url.Values {
	out := maps.Clone(form)
	maps.DeleteFunc(out, func(name string, _ []string) bool { return notRepeated[name] })
	return out
}

// fromOurPage reports whether the browser says that a page of ours sent a request.
// It is stricter than sameSite, which lets through what says nothing.
func fromOurPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && origin.Host == r.Host
}

// readParts reads the text of a form with files, unless its handler did, and notes
// which fields had files. It reports false for a body that is gone, or is no form of
// bounded size. The files are read too: a browser shows no answer before it has sent
// all.
func (g *Gateway) readParts(w http.ResponseWriter, r *http.Request) bool {
	if r.MultipartForm != nil {
		return true
	}
	done, ok := g.refusedBody()
	if !ok {
		return false
	}
	defer done()
	uploading(w)
	form, err := formOf(r, &upstream{r: r.Body, limit: g.handins.MaxTotal() + handin.BesideFiles})
	if err != nil {
		return false
	}
	got, left := &multipart.Form{Value: url.Values{}, File: map[string][]*multipart.FileHeader{}}, maxHeldParts
	for left >= 0 {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) && len(got.Value)+len(got.File) > 0 {
			r.PostForm, r.MultipartForm = got.Value, got
			return true
		}
		if err != nil {
			return false
		}
		name := part.FormName()
		if part.FileName() != "" || part.Header.Get("Content-Type") != "" { // as net/http tells them apart
			got.File[name] = nil
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, int64(left)+1))
		if err != nil {
			return false
		}
		left -= len(value) + len(name)
		got.Value[name] = append(got.Value[name], string(value))
	}
	g.drain(r)
	return false
}

// refusedBody takes a place among those whose bodies are read though their requests are
// refused; it reports false when there is none.
func (g *Gateway) refusedBody() (done func(), ok bool) {
	select {
	case g.refusals <- struct{}{}:
		return func() { <-g.refusals }, true
	default:
		return nil, false
	}
}

// uploading gives a body the time that files take. It is no error where a connection
// has no deadline to set: then it has none.
func uploading(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadWait))
}

// discard reads what the browser of somebody signed in sends, however large, so that
// it comes to see the answer.
func (g *Gateway) discard(w http.ResponseWriter, r *http.Request) {
	uploading(w)
	g.drain(r)
}

func (g *Gateway) drain(r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, g.handins.MaxTotal()+handin.BesideFiles)) // what is left then is not ours to wait for
}

// signedInPage tells somebody who keeps a form in another tab to go back to it.
func (g *Gateway) signedInPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	return g.pages.Render(w, http.StatusOK, web.PageSignedIn, web.SignedIn{Layout: g.layout(r, "You are signed in", "", &s)})
}
