package dial

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestErrorsOfSocketsAreKnownOnWindowsToo(t *testing.T) {
	t.Parallel()
	for number, name := range map[syscall.Errno]syscall.Errno{
		10061: syscall.ECONNREFUSED, 10054: syscall.ECONNRESET, 10048: syscall.EADDRINUSE, 10060: syscall.ETIMEDOUT,
		10013: syscall.EACCES, syscall.ECONNREFUSED: syscall.ECONNREFUSED, syscall.ENOMEM: syscall.ENOMEM,
	} {
		err := fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connectex", number)})
		if !IsErrno(err, name) || IsErrno(err, syscall.ENOENT) {
			t.Errorf("%d: got %v and %v, want it to be %v and nothing else", number, IsErrno(err, name), IsErrno(err, syscall.ENOENT), name)
		}
	}
}
