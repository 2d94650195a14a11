package dial

import (
	"errors"
	"syscall"
)

// winsock are the numbers that Windows gives to the errors of sockets (winsock2.h): package
// syscall has other values for these names there, which no call returns.
var winsock = map[syscall.Errno]syscall.Errno{
	syscall.EINTR:         10004,
	syscall.EACCES:        10013,
	syscall.EMFILE:        10024,
	syscall.EADDRINUSE:    10048,
	syscall.EADDRNOTAVAIL: 10049,
	syscall.ECONNABORTED:  10053,
	syscall.ECONNRESET:    10054,
	syscall.ENOBUFS:       10055,
	syscall.EPIPE:         10058,
	syscall.ETIMEDOUT:     10060,
	syscall.ECONNREFUSED:  10061,
}

// IsErrno reports whether err is the system's error of that name, as this system or Windows
// numbers it. No other system has numbers as high as Windows' are.
func IsErrno(err error, name syscall.Errno) bool {
	windows, known := winsock[name]
	return errors.Is(err, name) || known && errors.Is(err, windows)
}
