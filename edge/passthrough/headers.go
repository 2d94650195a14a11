package passthrough

import (
	"net/http/httputil"
	"net/textproto"
	"net/url"
)

// passedOn are the request headers that the origin gets; ReverseProxy has
// removed the hop-by-hop ones already. A list of what may pass cannot forget a
// header that names the user, as a list of what may not would (X-Forwarded-For,
// Forwarded, X-Real-Ip, CloudFront-Viewer-Address, Cf-Connecting-Ip, ...).
// User-Agent, Origin and languages describe the user and serve nobody here.
var passedOn = func() map[string]bool {
	names := map[string]bool{}
	for _, name := range []string{
		"Cookie",                // the token
		"Connection", "Upgrade", // as ReverseProxy set them, for a socket
		"Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
		"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
	} {
		names[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	return names
}()

// keptBack are the headers of plain answers that tell what stands behind the
// edge; the site, which the edge shows when the origin is gone, has none of
// them. Date is the edge's own: net/http writes it in another place than one
// that was passed on.
var keptBack = []string{"Server", "Via", "Alt-Svc", "X-Powered-By", "Date"}

// rewrite sends the request to the origin under the origin's own name, so that
// the origin may stand behind a CDN that routes by Host, and so that the name
// that the user asked for stays here.
func rewrite(r *httputil.ProxyRequest, origin *url.URL) {
	r.SetURL(origin)
	for name := range r.Out.Header {
		if !passedOn[name] {
			delete(r.Out.Header, name)
		}
	}
	if !isSocket(r.In) {
		r.Out.Header.Del("Connection")
		r.Out.Header.Del("Upgrade")
	}
}
