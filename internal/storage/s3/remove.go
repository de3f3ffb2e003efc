package s3

import (
	"context"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/lodge-gateway/lodge/messaging/handin"
)

// Remove implements handin.Files.
func (s *Store) Remove(ctx context.Context, name string) error {
	whole, begun := strings.CutSuffix(name, handin.PartSuffix)
	if !handin.ValidName(whole) {
		return refused("remove", name)
	}
	key := s.key(whole)
	if begun {
		return s.abortAll(ctx, key, func(k string) bool { return k == key })
	}
	below := func(k string) bool { return strings.HasPrefix(k, key+"/") }
	// In this order, what is completed meanwhile is removed as an object.
	if err := s.abortAll(ctx, key, below); err != nil {
		return err
	}
	return s.removeAll(ctx, key, func(k string) bool { return k == key || below(k) })
}

// abortAll gives up the multipart uploads whose keys begin with a text and are among
// those that are meant.
func (s *Store) abortAll(ctx context.Context, begin string, meant func(key string) bool) error {
	for upload, err := range s.uploads(ctx, begin) {
		if err == nil && meant(upload.Key) {
			err = s.abort(ctx, upload.Key, upload.UploadID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes such objects, a thousand at a time. It may be tried again from its
// beginning, which finds what is left.
func (s *Store) removeAll(ctx context.Context, begin string, meant func(key string) bool) error {
	return s.try(ctx, 0, func(ctx context.Context) error {
		var listing error
		results, err := s.client.RemoveObjectsWithIter(ctx, s.place.Bucket, func(yield func(minio.ObjectInfo) bool) {
			for key, err := range s.objects(ctx, begin) {
				if err != nil {
					listing = err
					return
				}
				if meant(key) && !yield(minio.ObjectInfo{Key: key}) {
					return
				}
			}
		}, minio.RemoveObjectsOptions{})
		if err != nil {
			return err
		}
		for one := range results {
			if one.Err != nil && codeOf(one.Err) != minio.NoSuchKey {
				return one.Err
			}
		}
		if listing != nil {
			return listing
		}
		return ctx.Err()
	})
}
