package emulator

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// unsigned is why a call is refused with 403.
type unsigned struct{ kind, message string }

var (
	errNoSignature  = &unsigned{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	errIncomplete   = &unsigned{"IncompleteSignatureException", "Authorization header is incomplete, or not for this service and region."}
	errUnknownKey   = &unsigned{"UnrecognizedClientException", "The security token included in the request is invalid."}
	errClock        = &unsigned{"InvalidSignatureException", "Signature expired or not yet current: compare the caller's clock."}
	errBadSignature = &unsigned{"InvalidSignatureException", "The request signature we calculated does not match the signature you provided."}
)

// maxSkew is how far the caller's clock may be from ours.
const maxSkew = 5 * time.Minute

// authorization is the header's content.
type authorization struct {
	key       string
	scope     string // date/region/service/aws4_request
	headers   []string
	signature string
}

func parseAuthorization(header string) (a authorization, ok bool) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return a, false
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			a.key, a.scope, _ = strings.Cut(value, "/")
		case "SignedHeaders":
			a.headers = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		}
	}
	return a, a.key != "" && a.scope != "" && len(a.headers) > 0 && a.signature != ""
}

// verify checks Signature Version 4 by signing what was signed once more. It
// asks for the host and the time to be signed, as the signer always does both.
func (g *Gateway) verify(r *http.Request, body []byte) *unsigned {
	header := r.Header.Get("Authorization")
	if header == "" {
		return errNoSignature
	}
	a, ok := parseAuthorization(header)
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if !ok || err != nil || a.scope != at.Format("20060102")+"/"+g.opt.Region+"/execute-api/aws4_request" {
		return errIncomplete
	}
	creds := g.opt.Credentials
	if creds.SecretAccessKey == "" || a.key != creds.AccessKeyID {
		return errUnknownKey
	}
	if time.Since(at).Abs() > maxSkew {
		return errClock
	}
	again := signedPart(r, a.headers)
	sum := sha256.Sum256(body)
	err = g.signer.SignHTTP(r.Context(), creds, again, hex.EncodeToString(sum[:]), "execute-api", g.opt.Region, at)
	want, ok := parseAuthorization(again.Header.Get("Authorization"))
	if err != nil || !ok || !slices.Equal(a.headers, want.headers) || subtle.ConstantTimeCompare([]byte(a.signature), []byte(want.signature)) != 1 {
		return errBadSignature
	}
	return nil
}

// signedPart is the request with only the headers that its caller signed.
func signedPart(r *http.Request, headers []string) *http.Request {
	where := *r.URL
	out := &http.Request{Method: r.Method, URL: &where, Host: r.Host, Header: http.Header{}}
	for _, name := range headers {
		switch values := r.Header.Values(name); {
		case name == "content-length":
			out.ContentLength = r.ContentLength
		case len(values) > 0:
			out.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return out
}
