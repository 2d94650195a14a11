package ports

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Each of many askers, in this process and in others, gets a port of its own.
func TestNoPortIsGivenTwice(t *testing.T) {
	const each = 150
	if os.Getenv("CULVERT_TEST_PORTS") != "" { // another process, until its input ends
		for range each {
			os.Stdout.WriteString(Loopback() + "\n")
		}
		runtime.GC() // which closes what nothing refers to
		os.Stdout.WriteString("all\n")
		os.Stdin.Read(make([]byte, 1))
		return
	}
	t.Parallel()
	var mu sync.Mutex
	given := map[string]bool{}
	take := func(at string) {
		mu.Lock()
		defer mu.Unlock()
		if p := netip.MustParseAddrPort(at); given[at] || p.Port() >= after || !p.Addr().IsLoopback() {
			t.Errorf("got %s, want one that nobody has and that systems do not give", at)
		}
		given[at] = true
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range each {
				take(Loopback())
				runtime.GC()
			}
		})
		other := exec.Command(os.Args[0], "-test.run=^TestNoPortIsGivenTwice$")
		other.Env = append(os.Environ(), "CULVERT_TEST_PORTS=1")
		in, err := other.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := other.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		defer other.Wait()
		defer in.Close()
		all.Go(func() {
			var text strings.Builder
			for b := make([]byte, 4096); !strings.HasSuffix(text.String(), "all\n"); {
				n, err := out.Read(b)
				text.Write(b[:n])
				if err != nil {
					t.Errorf("another process ended: %v", err)
					return
				}
			}
			for at := range strings.Lines(strings.TrimSuffix(text.String(), "all\n")) {
				take(strings.TrimSpace(at))
			}
		})
	}
	all.Wait()
	if len(given) != 6*each {
		t.Errorf("got %d ports, want %d", len(given), 6*each)
	}
}

// A server of HTTP/3 listens at all addresses of its port, over UDP as well.
func TestAPortIsFreeOverUDP(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", fmt.Sprintf(":%d", netip.MustParseAddrPort(Loopback()).Port()))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// Whoever gets a port listens there at once, also while programs are started, which begin with all that is open.
func TestAProgramThatStartsHasNoPort(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for range 4 {
		all.Go(func() {
			for range 25 {
				exec.Command(os.Args[0], "-test.run=^$").Run()
			}
		})
	}
	for range 1000 {
		ln, err := net.Listen("tcp", Loopback())
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}
