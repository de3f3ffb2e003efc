package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/lodge-gateway/lodge/messaging/handin"
)

// maxParts is how many parts an object can have: at partSize each, some 48 GiB.
const maxParts = 10_000

var errTooLong = fmt.Errorf("s3: a file has more than %d MiB", maxParts*(partSize>>20))

// discardLimit bounds what is done for a file that is given up, whatever has become of
// whoever wanted it.
const discardLimit = 20 * time.Second

func refused(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
}

// Create implements handin.Files. Nothing is sent before a part is full.
func (s *Store) Create(ctx context.Context, name string) (handin.Pending, error) {
	if !handin.ValidName(name) {
		return nil, refused("create", name)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &pending{ctx: ctx, s: s, key: s.key(name), buf: buffer{room: s.room}}, nil
}

// pending is a file on its way in.
type pending struct {
	ctx   context.Context
	s     *Store
	key   string
	buf   buffer
	id    string // of the multipart upload; empty: none is begun
	parts []minio.CompletePart
	size  int64
	err   error // what ended it, for good
	done  bool
}

// Write implements handin.Pending. It returns when what it was given is sent, or in
// the buffer.
func (p *pending) Write(b []byte) (n int, err error) {
	for len(b) > 0 && p.err == nil {
		if p.buf.size == partSize {
			if p.err = p.sendPart(); p.err != nil {
				break
			}
		}
		var took int
		took, p.err = p.buf.write(p.ctx, b)
		n, b = n+took, b[took:]
	}
	if p.err != nil {
		p.buf.free()
		p.err = p.s.explain(p.ctx, p.err)
	}
	return n, p.err
}

// digest is the SHA-256 of what is sent next, which the signature holds.
func (p *pending) digest() string {
	sum := sha256.New()
	_, _ = io.Copy(sum, p.buf.reader()) // neither fails
	return hex.EncodeToString(sum.Sum(nil))
}

// sendPart sends what the buffer holds, as the next part.
func (p *pending) sendPart() error {
	if len(p.parts) == maxParts {
		return errTooLong
	}
	if p.id == "" {
		err := p.s.try(p.ctx, requestLimit, func(ctx context.Context) (err error) {
			p.id, err = p.s.client.NewMultipartUpload(ctx, p.s.place.Bucket, p.key, minio.PutObjectOptions{})
			return err
		})
		if err != nil {
			return err
		}
	}
	digest := p.digest()
	var part minio.ObjectPart
	err := p.s.try(p.ctx, partLimit, func(ctx context.Context) (err error) {
		part, err = p.s.client.PutObjectPart(ctx, p.s.place.Bucket, p.key, p.id, len(p.parts)+1, p.buf.reader(), int64(p.buf.size),
			minio.PutObjectPartOptions{Sha256Hex: digest, DisableContentSha256: true})
		return err
	})
	if err != nil {
		return err
	}
	p.parts = append(p.parts, minio.CompletePart{PartNumber: part.PartNumber, ETag: part.ETag})
	p.size += int64(p.buf.size)
	p.buf.sent()
	return nil
}

// Commit implements handin.Pending.
func (p *pending) Commit() error {
	if p.err != nil || p.done {
		return p.err
	}
	if p.err = p.ctx.Err(); p.err != nil {
		return p.err
	}
	if p.id == "" {
		p.err = p.sendAll()
	} else {
		if p.buf.size > 0 {
			p.err = p.sendPart()
		}
		if p.err == nil {
			p.err = p.complete()
		}
	}
	p.buf.free()
	p.done = p.err == nil
	return p.err
}

// sendAll sends a file that fits one part.
func (p *pending) sendAll() error {
	digest := p.digest()
	return p.s.try(p.ctx, partLimit, func(ctx context.Context) error {
		_, err := p.s.client.PutObject(ctx, p.s.place.Bucket, p.key, p.buf.reader(), int64(p.buf.size), "", digest, minio.PutObjectOptions{DisableContentSha256: true})
		return err
	})
}

// complete makes the parts an object. A store that did so, and could not say it, has
// forgotten the upload by the next try: then the object tells.
func (p *pending) complete() error {
	return p.s.try(p.ctx, partLimit, func(ctx context.Context) error {
		_, err := p.s.client.CompleteMultipartUpload(ctx, p.s.place.Bucket, p.key, p.id, p.parts, minio.PutObjectOptions{})
		if codeOf(err) != minio.NoSuchUpload {
			return err
		}
		made, there := p.s.client.StatObject(ctx, p.s.place.Bucket, p.key, minio.StatObjectOptions{})
		if there == nil && made.Size == p.size {
			return nil
		}
		return err
	})
}

// Discard implements handin.Pending.
func (p *pending) Discard() error {
	if p.done {
		return nil
	}
	p.done = true
	p.buf.free()
	if p.err == nil {
		p.err = errors.New("s3: the file was given up")
	}
	if p.id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), discardLimit)
	defer cancel()
	return p.s.abort(ctx, p.key, p.id)
}

// abort gives a multipart upload up; one that is none any more is no error.
func (s *Store) abort(ctx context.Context, key, id string) error {
	return s.try(ctx, requestLimit, func(ctx context.Context) error {
		err := s.client.AbortMultipartUpload(ctx, s.place.Bucket, key, id)
		if codeOf(err) == minio.NoSuchUpload {
			return nil
		}
		return err
	})
}
