package s3_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime/multipart"
	"runtime"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/s3test"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

// letters is a file that is in nobody's memory.
type letters struct{ left int64 }

func (l *letters) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), l.left)]
	for i := range p {
		p[i] = 'x'
	}
	l.left -= int64(len(p))
	return len(p), nil
}

// A file of 100 MiB goes from the form to the store and back, and takes as much memory
// in all as its buffers have: a part, and what requests are made of.
func TestALongFileIsNeverInMemory(t *testing.T) {
	const size, most = 100 << 20, 16 << 20
	s := open(t, config(t, s3test.Start(t).URL()))
	topics, err := messaging.NewTopics(memory.New(), messaging.Keyring{Names: make([]byte, 32), Seals: map[string][]byte{"k1": make([]byte, 32)}, Current: "k1"}, messaging.TopicsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	desk := handin.NewDesk(topics, memory.NewPersonKeys(), s, lodge.SystemClock{}, handin.Options{})
	t.Cleanup(desk.Release)
	h, err := desk.Open(t.Context(), "t", "grace", handin.Draft{To: "all", Title: "Report", Points: 10, Limits: handin.Limits{FileSize: size, Total: size}})
	if err != nil {
		t.Fatal(err)
	}
	const boundary = "------------------------lodge"
	form := func(n int64) *multipart.Reader {
		head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"long.txt\"\r\n\r\n"
		return multipart.NewReader(io.MultiReader(strings.NewReader(head), &letters{n}, strings.NewReader("\r\n--"+boundary+"--\r\n")), boundary)
	}
	hands := handin.Hander{Person: "ada"}
	if _, err := desk.ReadForm(t.Context(), "t", h.ID, hands, "", form(1000)); err != nil { // which has everything loaded
		t.Fatal(err)
	}
	var before, between, after runtime.MemStats
	runtime.ReadMemStats(&before)
	receipt, err := desk.ReadForm(t.Context(), "t", h.ID, hands, "", form(size))
	runtime.ReadMemStats(&between)
	if err != nil || receipt.Receipt.Version != 2 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	mine, err := desk.Mine(t.Context(), "t", h.ID, "ada")
	if err != nil || len(mine.Files) != 1 || mine.Files[0].Size != size {
		t.Fatalf("%+v, %v", mine, err)
	}
	_, r, err := desk.OpenFile(t.Context(), "t", h.ID, "ada", mine.Files[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.New()
	n, err := io.Copy(digest, r)
	_ = r.Close()
	runtime.ReadMemStats(&after)
	if err != nil || n != size || hex.EncodeToString(digest.Sum(nil)) != mine.Files[0].SHA256 {
		t.Errorf("%d bytes, or others, %v", n, err)
	}
	up, down := between.TotalAlloc-before.TotalAlloc, after.TotalAlloc-between.TotalAlloc
	t.Logf("%d MiB: %.1f MiB of memory in all on its way in, %.1f MiB on its way out", size>>20, float64(up)/(1<<20), float64(down)/(1<<20))
	if up > most || down > most {
		t.Errorf("want at most %d MiB", most>>20)
	}
}
