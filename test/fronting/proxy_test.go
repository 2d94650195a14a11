package fronting

import (
	"path/filepath"
	"strings"
	"testing"

	"culvert/test/ports"
)

// Where only a proxy leads out, chat and media go by it, with a proxy that is not ours.
func TestChatAndMediaCrossAProxy(t *testing.T) {
	t.Parallel()
	const user, password = "somebody", "s3cret-word"
	for name, run := range map[string]func(*testing.T) (p *program, url string){
		"microsocks": func(t *testing.T) (*program, string) {
			path, at := need(t, "microsocks"), ports.Loopback()
			host, port, _ := strings.Cut(at, ":")
			p := start(t, nil, path, "-i", host, "-p", port, "-u", user, "-P", password)
			p.up(at)
			return p, "socks5://" + user + ":" + password + "@" + at
		},
		"tinyproxy": func(t *testing.T) (*program, string) {
			path, at := need(t, "tinyproxy"), ports.Loopback()
			host, port, _ := strings.Cut(at, ":")
			config := write(t, "Listen "+host+"\nPort "+port+"\nBasicAuth "+user+" "+password+"\n", t.TempDir(), "tinyproxy.conf")
			p := start(t, nil, path, "-d", "-c", config)
			p.up(at)
			return p, "http://" + user + ":" + password + "@" + at
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, url := run(t)
			w := newWorld(t)
			address, pin := w.edge()
			_, port, _ := strings.Cut(address, ":")
			link := w.link(pin, "wss://localhost:"+port+"/;sni=none") // a name: the proxy looks it up
			n := w.connect(link, "--via", url)
			exchange(t, n, 1<<20)
			if !strings.Contains(p.out.String(), "localhost:"+port) {
				t.Errorf("got %q, want the front's name given to the proxy", p.out)
			}
			wrong := strings.Replace(url, password, "wr0ng-word", 1)
			out, err := output(filepath.Join(bin, "culvert"), "doctor", "--link-file", link, "--via", wrong)
			if err == nil || !strings.Contains(out, "another name or password") || strings.Contains(out+err.Error(), "wr0ng") {
				t.Errorf("a wrong password: got %v, %s, want it said and not quoted", err, out)
			}
		})
	}
}
