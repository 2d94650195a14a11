package visit

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net/http"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// mostWindow bounds what is kept of a page while it is unpacked: web servers need less, and packers may be told of
// much more.
const mostWindow = 4 << 20

var errPacked = errors.New("the page is packed in a way that is not read")

// plain is the body of an answer, unpacked: browsers say that they read all of these. What cannot be read ends there.
// Its caller bounds how much is read.
func plain(a *http.Response) io.Reader {
	switch a.Header.Get("Content-Encoding") {
	case "":
		return a.Body
	case "gzip":
		if r, err := gzip.NewReader(a.Body); err == nil {
			return r
		}
	case "br":
		if r := bufio.NewReader(a.Body); hasSmallWindow(r) {
			return brotli.NewReader(r)
		}
	case "zstd":
		r, err := zstd.NewReader(a.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(mostWindow), zstd.WithDecoderMaxMemory(mostWindow))
		if err == nil {
			return r // without concurrency it has nothing that is to be closed
		}
	}
	return broken{}
}

// hasSmallWindow reports whether a brotli stream needs no more than mostWindow, as its first bits say (RFC 7932,
// section 9.1).
func hasSmallWindow(r *bufio.Reader) bool {
	first, err := r.Peek(1)
	return err == nil && (first[0]&1 == 0 || first[0]>>1&7 <= 5)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errPacked }
