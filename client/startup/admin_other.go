//go:build !windows

package startup

import (
	"errors"
	"os"
)

var errRights = errors.New("only an administrator may do that: run it again with sudo")

func isAdmin() bool { return os.Geteuid() == 0 }
