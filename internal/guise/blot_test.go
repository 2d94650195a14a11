package guise

import (
	"strings"
	"testing"
)

func TestWhatNginxDoesNotHeedIsBlottedOutHoweverItComes(t *testing.T) {
	t.Parallel()
	const body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nx\r\nExpect: this is of the body"
	for in, want := range map[string]string{
		"GET / HTTP/1.1\r\nExpect: x\r\n\r\n":                                                "GET / HTTP/1.1\r\nExpecx: x\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\neXPECT:100-continue\r\n\r\n":                              "GET / HTTP/1.1\r\nA: b\r\neXPECx:100-continue\r\n\r\n",
		"GET / HTTP/1.1\nExpect: x\n\nGET / HTTP/1.1\nExpect: x\n\n":                         "GET / HTTP/1.1\nExpecx: x\n\nGET / HTTP/1.1\nExpecx: x\n\n",
		"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nExpect: x\r\n\r\n":    "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nExpecx: x\r\n\r\n",
		"EXPECT / HTTP/1.1\r\nUnexpected: x\r\nX-Expect: y\r\n\r\nEXPECT / HTTP/1.1\r\n\r\n": "EXPECT / HTTP/1.1\r\nUnexpected: x\r\nX-Expect: y\r\n\r\nEXPECT / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nA: \x01\x7f\t\x00:\x1f\r\n\r\n":                                   "GET / HTTP/1.1\r\nA: ??\t\x00:?\r\n\r\n",
		"GET /[ HTTP/1.1\r\nA[\xff: [\xff\r\nHost: a@b\xff/\x01.-[:]\r\nHost\r\n\r\n":        "GET /[ HTTP/1.1\r\nA__: [\xff\r\nHost: a_b_/?.-[:]\r\nHost\r\n\r\n",
		"GET /\x01:\x01 HTTP/1.1\r\nA\x01: b\r\n\r\n":                                        "GET /\x01:\x01 HTTP/1.1\r\nA\x01: b\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 00\t\r\n\r\nGET / HTTP/1.1\r\nExpect: x\r\n\r\n": "POST / HTTP/1.1\r\nContent-Length: 00\t\r\n\r\nGET / HTTP/1.1\r\nExpecx: x\r\n\r\n",
		"GET / HTTP/1.1\r\nUpgrade: x\r\nExpect: x\r\n\r\nGET /\x01\nExpect[: \x01":          "GET / HTTP/1.1\r\nUpgrade: x\r\nExpecx: x\r\n\r\nGET /\x01\nExpecx_: ?",
		"GET /%#%41 HTTP/1.1\r\nA: #%\r\n\r\nGET /%":                                         "GET /%#_41 HTTP/1.1\r\nA: #%\r\n\r\nGET /%",
		"POST /\r\nContent-Length: 0\r\ncontent-length:0\r\n\r\n":                            "POST /\r\nContent-Length: 0\r\ncontent-length 0\r\n\r\n",
		"POST /\r\nContent-Length: 0\r\n\r\nPOST /\r\nContent-Length: 0\r\n\r\n":             "POST /\r\nContent-Length: 0\r\n\r\nPOST /\r\nContent-Length: 0\r\n\r\n",
		"POST /\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n":    "POST /\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\nTransfer-Encoding  x\r\n",
		"POST /\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n":                      "POST /\r\nTransfer-Encoding: chunked\r\nContent-Length  1\r\n",
		"POST /\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n":                  "POST /\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nx\n",
		body: body,
		strings.Replace(body, "Length: ", "Length: "+strings.Repeat("0 ", 40), 1):    strings.Replace(body, "Length: ", "Length: "+strings.Repeat("0 ", 40), 1),
		strings.Replace(body, "Content-Length: 30", "Transfer-Encoding: chunked", 1): strings.Replace(body, "Content-Length: 30", "Transfer-Encoding: chunked", 1),
	} {
		for _, size := range []int{1, 2, 3, 7, len(in)} {
			b, e := []byte(in), blotter{}
			for at := 0; at < len(b); at += size {
				for part := b[at:min(at+size, len(b))]; len(part) > 0; {
					part = part[e.blot(part):]
				}
			}
			if string(b) != want {
				t.Errorf("%q, %d at once: got %q", in, size, b)
			}
		}
	}
}

func TestABlotterStopsWhereAWebSocketMayBegin(t *testing.T) {
	t.Parallel()
	const head = "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
	for in, want := range map[string]int{
		head + head:                     len(head),
		"GET / HTTP/1.1\r\n\r\n" + head: len("GET / HTTP/1.1\r\n\r\n" + head),
		strings.Replace(head, "\r\n\r", "\r\nContent-Length: 1\r\n\r", 1) + head: len(head) + len("Content-Length: 1\r\n") + len(head),
	} {
		if got := new(blotter).blot([]byte(in)); got != want {
			t.Errorf("%q: got %d bytes, want %d", in, got, want)
		}
	}
}
