package secret

import "golang.org/x/sys/unix"

func hide() { unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
