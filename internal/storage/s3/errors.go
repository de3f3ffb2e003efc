package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging/handin"
)

// A Problem is what keeps a store from being used, for operators: what it is, and what
// to do about it.
type Problem struct {
	Says, Remedy string
	// Lasting says that it stays until somebody does something about it.
	Lasting bool
	err     error
}

func (p *Problem) Error() string {
	said := "the object store: " + p.Says + "; " + p.Remedy
	if code := codeOf(p.err); code != "" {
		answer, _ := errors.AsType[minio.ErrorResponse](p.err)
		return fmt.Sprintf("%s (%s, status %d, request %q)", said, code, answer.StatusCode, answer.RequestID)
	}
	if p.err != nil {
		return said + " (" + p.err.Error() + ")"
	}
	return said
}

func (p *Problem) Unwrap() error { return p.err }

// codeOf returns what the store calls an error; empty when it did not answer.
func codeOf(err error) string {
	answer, _ := errors.AsType[minio.ErrorResponse](err)
	return answer.Code
}

// notThere reports whether the store itself said that there is no such object. The
// client takes any 404 for that, such as one of a proxy whose store is down.
func notThere(err error) bool {
	answer, said := errors.AsType[minio.ErrorResponse](err)
	return said && answer.Code == minio.NoSuchKey && answer.XMLName.Local != ""
}

// What the store says in passing, whatever the status.
var passingCodes = []string{
	"SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestThrottled", "RequestLimitExceeded", "RequestTimeout",
	minio.InternalError, minio.BadDigest, minio.IncompleteBody, minio.XAmzContentSHA256Mismatch,
}

// passing reports whether another try may do without an error.
func passing(err error) bool {
	if _, tried := errors.AsType[*lodge.Error](err); tried {
		return false
	}
	if answer, said := errors.AsType[minio.ErrorResponse](err); said {
		switch answer.StatusCode {
		case http.StatusNotImplemented, http.StatusInsufficientStorage:
			return false
		case http.StatusRequestTimeout, http.StatusTooManyRequests, 499:
			return true
		}
		return answer.StatusCode >= 500 || slices.Contains(passingCodes, answer.Code)
	}
	if _, none := errors.AsType[*keyError](err); none {
		return false
	}
	return !untrusted(err)
}

// untrusted reports whether the other end is not who it is to be, or speaks no TLS.
func untrusted(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, speaks := errors.AsType[tls.RecordHeaderError](err)
	return certificate || authority || speaks || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// explain returns what Files promise for an error, with the Problem for the log: as it is when it says that a file
// is not there or that the context has ended, else CodeUnavailable.
func (s *Store) explain(ctx context.Context, err error) error {
	if err == nil || notThere(err) {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if _, done := errors.AsType[*lodge.Error](err); done {
		return err
	}
	if errors.Is(err, errNoRoom) || errors.Is(err, errTooLong) {
		return handin.Unreachable(err)
	}
	return handin.Unreachable(s.problem(err))
}

// problem says what an error means here.
func (s *Store) problem(err error) *Problem {
	p := &Problem{err: err, Lasting: true}
	if _, none := errors.AsType[*keyError](err); none {
		p.Says, p.Remedy = "there is no key to sign requests with", "mend handin_s3_key_file"
		return p
	}
	answer, said := errors.AsType[minio.ErrorResponse](err)
	if !said {
		if p.Lasting = untrusted(err); p.Lasting {
			p.Says, p.Remedy = s.place.Host+" shows no certificate that can be trusted", "mend its certificate, or name the authority that signed it in handin_s3_ca_file"
			return p
		}
		p.Says, p.Remedy = s.place.Host+" does not answer", "see whether it runs, and can be reached from here"
		return p
	}
	switch code := answer.Code; {
	case answer.XMLName.Local == "" && answer.StatusCode >= 300 && answer.StatusCode < 500:
		p.Says, p.Remedy, p.Lasting = s.place.Host+" answers in another way than an object store", "see what stands before it, or mend the host in handin_s3", false
	case code == minio.NoSuchBucket:
		p.Says, p.Remedy = fmt.Sprintf("there is no bucket %q", s.place.Bucket), "make it, or mend its name in handin_s3"
	case code == minio.InvalidAccessKeyID, code == "XAdminUserNotFound", code == minio.SignatureDoesNotMatch, code == "InvalidToken", code == "ExpiredToken", code == "ExpiredTokenException", code == "InvalidSecurity":
		p.Says, p.Remedy = "it does not take the key", "mend handin_s3_key_file; and handin_s3_region, if the key is good"
	case code == minio.AuthorizationHeaderMalformed, code == minio.InvalidRegion, code == "PermanentRedirect", code == "IllegalLocationConstraintException", answer.StatusCode == http.StatusMovedPermanently:
		p.Says, p.Remedy = fmt.Sprintf("the bucket %q is of another region", s.place.Bucket), "mend handin_s3_region, and the host in handin_s3"
		if answer.Region != "" {
			p.Says = fmt.Sprintf("the bucket %q is of the region %q", s.place.Bucket, answer.Region)
		}
	case code == minio.RequestTimeTooSkewed:
		p.Says, p.Remedy = "its clock and this machine's are far apart", "let NTP set both"
	case code == "QuotaExceeded", code == "XMinioStorageFull", code == "XAmzQuotaExceeded", answer.StatusCode == http.StatusInsufficientStorage:
		p.Says, p.Remedy = "it is full", "make room, or raise its quota"
	case code == minio.AccessDenied, code == minio.AllAccessDisabled, answer.StatusCode == http.StatusForbidden:
		p.Says, p.Remedy = "the key may not do this", "give it the rights that the operators' guide lists, for this bucket and prefix"
	case answer.StatusCode >= 500, slices.Contains(passingCodes, code), answer.StatusCode == http.StatusTooManyRequests:
		p.Says, p.Remedy, p.Lasting = "it does not serve at the moment", "see how it is", false
	default:
		p.Says, p.Remedy, p.Lasting = "it refuses", "see what it says", false
	}
	return p
}
