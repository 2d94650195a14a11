//go:build linux

// Package netns makes network namespaces of Linux that have no name: the kernel
// ends one when no process and no socket is in it any more, so that nothing of
// them outlives a program that is killed. Only root may make one.
package netns

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tunName   = "path0"          // of the TUN device in each namespace
	dialLimit = 20 * time.Second // for a connection, which a censor may leave unanswered
)

// Space is one namespace. Its methods may be called by many at once.
type Space struct{ ns *os.File }

// New makes a namespace whose loopback interface is up. The caller closes it.
func New() (*Space, error) {
	s := new(Space)
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		if s.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return ip("link set lo up")
	})
	return s, err
}

// Close lets go of the namespace. Sockets and processes in it stay.
func (s *Space) Close() error { return s.ns.Close() }

// Do runs f inside: the sockets that f opens and the processes that f starts
// belong to the namespace. f must not hand that to other goroutines.
func (s *Space) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(s.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return f()
	})
}

// onThread runs f on a thread that ends afterwards: it is of no use to others
// once it has been elsewhere.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: so the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// Dial connects from inside to an IP address.
func (s *Space) Dial(address string) (c net.Conn, err error) {
	err = s.Do(func() error {
		c, err = net.DialTimeout("tcp", address, dialLimit)
		return err
	})
	return c, err
}

// Listen takes connections inside.
func (s *Space) Listen(address string) (l net.Listener, err error) {
	err = s.Do(func() error {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// Start starts a process inside.
func (s *Space) Start(c *exec.Cmd) error { return s.Do(c.Start) }

// Sysctl sets one of the namespace's own settings, such as net.ipv4.tcp_rmem.
func (s *Space) Sysctl(name, value string) error {
	return s.Do(func() error {
		return os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0)
	})
}

// Tun makes a TUN device that has the addresses and is the way to all others, for
// TCP with CUBIC, which most have: a namespace may not choose it for all routes.
// Reads and writes of the file are whole IP packets. The caller closes it.
func (s *Space) Tun(addresses ...netip.Addr) (f *os.File, err error) {
	err = s.Do(func() error {
		if f, err = openTun(); err != nil {
			return err
		}
		commands := []string{"link set " + tunName + " up"}
		for _, a := range addresses {
			commands = append(commands, fmt.Sprintf("addr add %s/32 dev %s", a, tunName))
		}
		return ip(append(commands, fmt.Sprintf("route add default dev %s src %s congctl cubic", tunName, addresses[0]))...)
	})
	return f, err
}

func openTun() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(tunName)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true) // so that Close ends a Read
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make a TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), tunName), nil
}

// ip runs the program of that name in the namespace of this thread, once for each command.
func ip(commands ...string) error {
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, out)
		}
	}
	return nil
}
