package guise

import (
	"net/http"
	"strings"
)

// TakesGzip reports whether nginx sends a file packed to whoever asks by r: not to an old client, nor by a proxy.
func TakesGzip(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) || r.Header.Get("Via") != "" {
		return false
	}
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return !isZero(weight)
		}
	}
	return false
}

// isZero reports whether a weight says never, as in "q=0.0".
func isZero(weight string) bool {
	value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(weight)), "q=")
	return ok && value != "" && strings.Trim(value, "0.") == ""
}
