package guise

import (
	"strings"
	"testing"
)

func TestWhatIsExpectedIsBlottedOutHoweverItComes(t *testing.T) {
	t.Parallel()
	const body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nx\r\nExpect: this is of the body"
	for in, want := range map[string]string{
		"GET / HTTP/1.1\r\nExpect: x\r\n\r\n":                                                "GET / HTTP/1.1\r\nExpecx: x\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\neXPECT:100-continue\r\n\r\n":                              "GET / HTTP/1.1\r\nA: b\r\neXPECx:100-continue\r\n\r\n",
		"GET / HTTP/1.1\nExpect: x\n\nGET / HTTP/1.1\nExpect: x\n\n":                         "GET / HTTP/1.1\nExpecx: x\n\nGET / HTTP/1.1\nExpecx: x\n\n",
		"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nExpect: x\r\n\r\n":    "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nExpecx: x\r\n\r\n",
		"EXPECT / HTTP/1.1\r\nUnexpected: x\r\nX-Expect: y\r\n\r\nEXPECT / HTTP/1.1\r\n\r\n": "EXPECT / HTTP/1.1\r\nUnexpected: x\r\nX-Expect: y\r\n\r\nEXPECT / HTTP/1.1\r\n\r\n",
		body: body,
		strings.Replace(body, "Content-Length: 30", "Transfer-Encoding: chunked", 1): strings.Replace(body, "Content-Length: 30", "Transfer-Encoding: chunked", 1),
	} {
		for _, size := range []int{1, 2, 3, 7, len(in)} {
			b, e := []byte(in), expectations{}
			for at := 0; at < len(b); at += size {
				e.blot(b[at:min(at+size, len(b))])
			}
			if string(b) != want {
				t.Errorf("%q, %d at once: got %q", in, size, b)
			}
		}
	}
}
