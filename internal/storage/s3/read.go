package s3

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/lodge-gateway/lodge/messaging/handin"
)

// Open implements handin.Files.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if !handin.ValidName(name) {
		return nil, refused("open", name)
	}
	var body io.ReadCloser
	err := s.try(ctx, 0, func(ctx context.Context) (err error) {
		body, _, _, err = s.client.GetObject(ctx, s.place.Bucket, s.key(name), minio.GetObjectOptions{})
		return err
	})
	if notThere(err) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return &object{ctx, s, body}, nil
}

// object is a file that is read.
type object struct {
	ctx  context.Context
	s    *Store
	body io.ReadCloser
}

func (o *object) Read(b []byte) (int, error) {
	n, err := o.body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = o.s.explain(o.ctx, err)
	}
	return n, err
}

// Close implements io.Closer. What is left of the file is not read for it.
func (o *object) Close() error { return o.body.Close() }

// List implements handin.Files.
func (s *Store) List(ctx context.Context, folder string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		under := s.place.Prefix
		switch {
		case folder == ".":
		case handin.ValidName(folder):
			under += folder + "/"
		default:
			yield("", refused("list", folder))
			return
		}
		// In this order, what is completed meanwhile is seen at least once.
		for upload, err := range s.uploads(ctx, under) {
			if err != nil {
				yield("", err)
				return
			}
			if !yield(strings.TrimPrefix(upload.Key, s.place.Prefix)+handin.PartSuffix, nil) {
				return
			}
		}
		for key, err := range s.objects(ctx, under) {
			if !yield(strings.TrimPrefix(key, s.place.Prefix), err) || err != nil {
				return
			}
		}
	}
}

// objects yields the keys that begin with a text; those of other makers, which are
// none of ours, too. After an error it ends.
func (s *Store) objects(ctx context.Context, begin string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last, over := "", false
		for !over {
			err := s.try(ctx, 0, func(ctx context.Context) error {
				for o := range s.client.ListObjectsIter(ctx, s.place.Bucket, minio.ListObjectsOptions{Prefix: begin, Recursive: true, StartAfter: last}) {
					if o.Err != nil {
						return o.Err
					}
					if last = o.Key; !yield(o.Key, nil) {
						over = true
						return nil
					}
				}
				over = ctx.Err() == nil
				return ctx.Err()
			})
			if err != nil {
				yield("", err)
				return
			}
		}
	}
}

// uploads yields the multipart uploads whose keys begin with a text. After an error it
// ends. MinIO knows them by their whole keys alone, and ends them itself after a day.
func (s *Store) uploads(ctx context.Context, begin string) iter.Seq2[minio.ObjectMultipartInfo, error] {
	return func(yield func(minio.ObjectMultipartInfo, error) bool) {
		var page minio.ListMultipartUploadsResult
		for {
			err := s.try(ctx, requestLimit, func(ctx context.Context) error {
				next, err := s.client.ListMultipartUploads(ctx, s.place.Bucket, begin, page.NextKeyMarker, page.NextUploadIDMarker, "", 0)
				if err == nil {
					page = next
				}
				return err
			})
			if err != nil {
				yield(minio.ObjectMultipartInfo{}, err)
				return
			}
			for _, upload := range page.Uploads {
				// One store or another takes the text for something less than it is.
				if strings.HasPrefix(upload.Key, begin) && !yield(upload, nil) {
					return
				}
			}
			if !page.IsTruncated || page.NextKeyMarker == "" {
				return
			}
		}
	}
}
