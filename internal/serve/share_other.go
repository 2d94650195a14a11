//go:build !unix

package serve

import "syscall"

func share(string, string, syscall.RawConn) error { return nil }
