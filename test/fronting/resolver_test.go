package fronting

import (
	"net"
	"os"
	"strings"
	"testing"

	"culvert/internal/link"
	"culvert/test/ports"
)

// Where the network does not know a front's name, a resolver that is not ours tells it
// over HTTPS. No system's resolver knows names below onion (RFC 7686).
func TestAFrontIsFoundByAResolverOverHTTPS(t *testing.T) {
	t.Parallel()
	path := need(t, "unbound")
	w := newWorld(t)
	c := &cdn{world: w, address: ports.Loopback()}
	c.makeCertificate()
	_, port, err := net.SplitHostPort(c.address)
	must(t, err)
	config := write(t, strings.NewReplacer("PORT", port, "PAIR", c.pair).Replace(unboundConfig), w.dir, "unbound.conf")
	unbound := start(t, nil, path, "-d", "-c", config)
	unbound.up(c.address)

	file, err := os.ReadFile(c.pin)
	must(t, err)
	key, err := link.PinPEM(file)
	must(t, err)
	address, pin := w.edge()
	_, port, err = net.SplitHostPort(address)
	must(t, err)
	at := "front.onion:" + port
	l := w.link(pin, "wss://"+at+"/;dial="+ports.Loopback()+";dial="+at) // one of this machine's, so that another is believed
	n := w.connect(l, "--resolver", "https://"+other+"/dns-query;dial="+c.address+";sni=none;pin="+key.String())
	exchange(t, n, 1<<20)
	for _, asked := range []string{"front.onion. A IN", "front.onion. AAAA IN"} {
		if got := strings.Count(unbound.out.String(), asked); got != 1 {
			t.Errorf("the resolver was asked %d times for %s, want once", got, asked)
		}
	}
}

const unboundConfig = `
server:
  directory: ""
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  log-queries: yes
  interface: 127.0.0.1@PORT
  https-port: PORT
  tls-service-key: "PAIR"
  tls-service-pem: "PAIR"
  http-endpoint: "/dns-query"
  local-zone: "onion." transparent
  local-data: "front.onion. 60 IN A 127.0.0.1"
`
