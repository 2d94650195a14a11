//go:build unix

package term

import "golang.org/x/sys/unix"

// readsEnd says that nobody waits in a read: whoever does stops the whole process once it
// goes on in the background (SIGTTIN).
const readsEnd = true

// isReady waits for something to read, for a short while.
func isReady(fd int) bool {
	var set unix.FdSet
	set.Set(fd)
	wait := unix.NsecToTimeval(int64(quiet) / 2)
	n, err := unix.Select(fd+1, &set, nil, nil, &wait)
	return n > 0 && err == nil
}
