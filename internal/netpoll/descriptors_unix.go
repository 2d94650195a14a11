//go:build unix

package netpoll

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

func maxDescriptors() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32))
}

// lowestFree is the number that the next descriptor would have; most if there is none, and 0 if it cannot be found out.
func lowestFree(most int) int {
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0) // 0 is open: Go's runtime sees to that
	switch {
	case err == unix.EMFILE || err == unix.ENFILE:
		return most
	case err != nil:
		return 0
	}
	unix.Close(fd)
	return fd
}
