package handin

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A file at rest is magic, a random salt, and chunks of AES-256-GCM. The key is
// derived from the person's, the salt, and what the file is, so it seals this file
// alone; the nonce is the chunk's number and whether it is the last. So no chunk
// can be altered, moved, repeated or left out, and a file that was cut off does not
// open as a shorter one.
const (
	magic     = "LDH1"
	saltSize  = 32
	chunkSize = 64 << 10
	tagSize   = 16
)

var errNotWhole = errors.New("handin: a stored file was altered or cut off")

func fileAEAD(person, salt []byte, name string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, person, salt, "lodge hand-in file "+name, 32)
	if err != nil {
		return nil, fmt.Errorf("handin: a file's key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("handin: a file's key: %w", err)
	}
	return cipher.NewGCM(block)
}

func nonceOf(chunk uint32, last bool) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint32(nonce[7:], chunk)
	if last {
		nonce[11] = 1
	}
	return nonce
}

// A sealer writes what it is given to w, sealed. Close writes the end, and does
// not close w.
type sealer struct {
	w     io.Writer
	aead  cipher.AEAD
	buf   []byte
	chunk uint32
}

// newSealer begins a file of the given stored name under a person's key.
func newSealer(w io.Writer, person []byte, name string) (*sealer, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand.Read
	aead, err := fileAEAD(person, salt, name)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(append([]byte(magic), salt...))
	return &sealer{w: w, aead: aead, buf: make([]byte, 0, chunkSize+tagSize)}, err
}

func (s *sealer) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		if len(s.buf) == chunkSize {
			if err := s.flush(false); err != nil {
				return n, err
			}
		}
		take := min(len(p), chunkSize-len(s.buf))
		s.buf = append(s.buf, p[:take]...)
		p, n = p[take:], n+take
	}
	return n, nil
}

func (s *sealer) flush(last bool) error {
	_, err := s.w.Write(s.aead.Seal(s.buf[:0], nonceOf(s.chunk, last), s.buf, nil))
	s.buf = s.buf[:0]
	s.chunk++
	return err
}

func (s *sealer) Close() error { return s.flush(true) }

// An opener reads what a sealer wrote: only what is genuine, and io.EOF only at
// the end that was written. Everything else is errNotWhole.
type opener struct {
	r        *bufio.Reader
	aead     cipher.AEAD
	chunkBuf []byte // where a chunk is opened
	buf      []byte // of it, what is not read yet
	chunk    uint32
	ended    bool
}

func newOpener(r io.Reader, person []byte, name string) (*opener, error) {
	head := make([]byte, len(magic)+saltSize)
	_, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err // it may be whole: it could not be read
	}
	if err != nil || !bytes.HasPrefix(head, []byte(magic)) {
		return nil, errNotWhole
	}
	aead, err := fileAEAD(person, head[len(magic):], name)
	return &opener{r: bufio.NewReaderSize(r, chunkSize+tagSize), aead: aead, chunkBuf: make([]byte, chunkSize+tagSize)}, err
}

func (o *opener) Read(p []byte) (int, error) {
	for len(o.buf) == 0 {
		if o.ended {
			return 0, io.EOF
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, o.buf)
	o.buf = o.buf[n:]
	return n, nil
}

func (o *opener) next() error {
	n, err := io.ReadFull(o.r, o.chunkBuf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if err == nil {
		if _, err := o.r.Peek(1); errors.Is(err, io.EOF) {
			o.ended = true
		} else if err != nil {
			return err
		}
	} else {
		o.ended = true
	}
	open, err := o.aead.Open(o.chunkBuf[:0], nonceOf(o.chunk, o.ended), o.chunkBuf[:n], nil)
	if err != nil {
		return errNotWhole
	}
	o.buf = open
	o.chunk++
	return nil
}
