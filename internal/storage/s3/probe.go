package s3

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Ping asks whether the store answers, has the bucket and takes the key. The error is
// a Problem.
func (s *Store) Ping(ctx context.Context) error {
	return s.try(ctx, requestLimit, func(ctx context.Context) error {
		for o := range s.client.ListObjectsIter(ctx, s.place.Bucket, minio.ListObjectsOptions{Prefix: s.place.Prefix, Recursive: true, MaxKeys: 1}) {
			return o.Err
		}
		return ctx.Err()
	})
}

// Rehearse asks whether the key may begin a multipart upload and give it up, as it must
// for a long file.
func (s *Store) Rehearse(ctx context.Context) error {
	var id string
	key := s.key("probe" + strings.ToLower(rand.Text()))
	err := s.try(ctx, requestLimit, func(ctx context.Context) (err error) {
		id, err = s.client.NewMultipartUpload(ctx, s.place.Bucket, key, minio.PutObjectOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return s.abort(ctx, key, id)
}
