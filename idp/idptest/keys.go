package idptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"
)

// signingKey is the issuer's ES256 key; its id is the RFC 7638 thumbprint.
type signingKey struct {
	jwk    jose.JSONWebKey
	signer jose.Signer
}

// loadKey reads the key at path and makes one there when there is none.
func loadKey(path string) (signingKey, error) {
	if path == "" {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return signingKey{}, fmt.Errorf("idptest: make key: %w", err)
		}
		return newSigningKey(private)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = makeKey(path)
	}
	if err != nil {
		return signingKey{}, fmt.Errorf("idptest: key file: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return signingKey{}, fmt.Errorf("idptest: key file %s holds no PEM block; remove it to have a new key made", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return signingKey{}, fmt.Errorf("idptest: key file %s: %w", path, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return signingKey{}, fmt.Errorf("idptest: key file %s holds no P-256 key; remove it to have one made", path)
	}
	return newSigningKey(private)
}

// makeKey writes a new key beside path and links it into place, so that a crash
// leaves no half a key and of two processes that start at once one wins.
func makeKey(path string) ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // its contents live on under path
	err = pem.Encode(temp, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

func newSigningKey(private *ecdsa.PrivateKey) (signingKey, error) {
	jwk := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	thumb, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return signingKey{}, fmt.Errorf("idptest: key: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jwk}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return signingKey{}, fmt.Errorf("idptest: key: %w", err)
	}
	return signingKey{jwk: jwk, signer: signer}, nil
}

func (k signingKey) public() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.jwk.Public()}}
}

// sign returns a compact JWS of the claims.
func (k signingKey) sign(claims []byte) (string, error) {
	return serialize(k.signer.Sign(claims))
}

// signAs returns one with another "typ".
func (k signingKey) signAs(typ jose.ContentType, claims []byte) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.jwk}, (&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		return "", err
	}
	return serialize(signer.Sign(claims))
}

func serialize(jws *jose.JSONWebSignature, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// claims returns the claims of a token this key signed, whatever its age: a hint
// for signing out is good after it has expired.
func (k signingKey) claims(token string) (claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Session  string `json:"sid"`
}, err error) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return claims, err
	}
	payload, err := jws.Verify(k.jwk.Public())
	if err != nil {
		return claims, err
	}
	return claims, json.Unmarshal(payload, &claims)
}

// atHash is the left half of the access token's SHA-256 (OpenID Connect Core 1.0,
// section 3.1.3.6).
func atHash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
