package nobody

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestTheAddressRefusesAndIsNobodyElses(t *testing.T) {
	t.Parallel()
	at := Addr(t).String()
	if c, err := net.Dial("tcp", at); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v and %v, want a refusal", c, err)
	}
	for _, at := range []string{at, at[len("127.0.0.1"):]} {
		if ln, err := net.Listen("tcp", at); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("got %v and %v for %s, want that the address is in use", ln, err, at)
		}
	}
}
