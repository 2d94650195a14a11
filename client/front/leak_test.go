package front

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// What a person is shown of an upgrade that was cut names neither end.
func TestAnUpgradeThatIsCutNamesNoAddress(t *testing.T) {
	t.Parallel()
	near := &net.TCPAddr{IP: net.IPv4(192, 168, 1, 23), Port: 50412}
	far := &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 443}
	cut := &net.OpError{Op: "read", Net: "tcp", Source: near, Addr: far, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for _, err := range []error{cut, errors.New("bytes from 203.0.113.9")} {
		err := Failed(StepUpgrade, fmt.Errorf("upgrade: Get %q: %w", "http://cdn.example/path", err))
		for _, secret := range []string{"192.168", "203.0", "cdn.example", "/path"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("got %q, want it without %q", err, secret)
			}
		}
	}
}
