//go:build unix

package secret

import (
	"io/fs"
	"os"
	"syscall"
)

// Guard keeps what this process knows out of core dumps, and on Linux out of the reach of
// the user's other programs: they can neither trace it nor read what it was started with.
// Programs call it first. A system that refuses serves all the same.
func Guard() {
	none := syscall.Rlimit{}
	syscall.Setrlimit(syscall.RLIMIT_CORE, &none)
	hide()
}

func isOwn(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(stat.Uid) == os.Geteuid()
}
