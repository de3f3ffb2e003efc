package gateway

import (
	"bytes"
	"mime/multipart"
	"net/http/httptest"
	"testing"
)

// Whoever is refused may be anybody: past a number of them, nobody's files are read.
func TestFewBodiesOfRefusedRequestsAreRead(t *testing.T) {
	g := &Gateway{refusals: make(chan struct{}, 1)}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("text", "Damped, as expected."); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/handins/h", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	g.refusals <- struct{}{} // somebody else's is being read
	sent := body.Len()
	if g.readParts(httptest.NewRecorder(), r) || body.Len() != sent {
		t.Errorf("%d of %d bytes were read beside another's", sent-body.Len(), sent)
	}
}
