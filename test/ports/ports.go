// Package ports is for tests and their programs that have to say where something will listen before it does. The port
// of a listener that was closed goes, now and then, to another program that asks the system for any, or to a connection.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// The ports are below those that systems give by themselves (Linux: 32768 and above), and their marks below the ports.
const (
	first  = 21_000
	after  = 32_000
	toMark = 11_000
	tries  = 100
)

// Loopback is an address of 127.0.0.1 at which nobody listens, "127.0.0.1:23456". It panics where there is none.
func Loopback() string {
	at, err := On(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if err != nil {
		panic(err)
	}
	return at.String()
}

// On is Loopback for another address of this machine. The error is why nobody can listen there.
func On(host netip.Addr) (at netip.AddrPort, err error) {
	for range tries {
		port := first + rand.N(after-first)
		at = netip.AddrPortFrom(host, uint16(port))
		if !take(port) {
			err = fmt.Errorf("ports from %d to %d are taken", first, after)
		} else if err = listens(at); err == nil {
			return at, nil
		}
	}
	return netip.AddrPort{}, err
}

// take marks a port as given by a UDP socket, which no second asker of any process can have until this process ends. It
// has another number, as who listens at the port may do so over UDP, too, for HTTP/3 or as a name server.
func take(port int) bool {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port - toMark})
	if err != nil {
		return false
	}
	marks.Store(port, c)
	return true
}

// marks keeps the sockets, which would be closed with nothing that refers to them.
var marks sync.Map

// listens tries an address while no program is started, which would have the listener, too, until it runs.
func listens(at netip.AddrPort) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	return ln.Close()
}
