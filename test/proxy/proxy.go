// Package proxy is an HTTP proxy for tests.
package proxy

import (
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
)

// Proxy connects everybody who asks for a connection by CONNECT to one address. It is an
// http.Handler.
type Proxy struct {
	To          string // host and port
	Credentials bool   // whoever has none is refused

	mu    sync.Mutex // guards asked
	asked []string
}

// Asked lists the host and port that each connection was asked for, and its credentials.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	credentials := r.Header.Get("Proxy-Authorization")
	if p.Credentials && credentials == "" {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.Host+" "+credentials)
	p.mu.Unlock()
	far, err := net.Dial("tcp", p.To)
	if r.Method != http.MethodConnect || err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	go io.Copy(far, near)
	io.Copy(near, far)
}
