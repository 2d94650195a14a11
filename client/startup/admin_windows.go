package startup

import (
	"errors"

	win "golang.org/x/sys/windows"
)

var errRights = errors.New(`only an administrator may do that: run it again in a window that was opened with "Run as administrator"`)

func isAdmin() bool { return win.GetCurrentProcessToken().IsElevated() }
