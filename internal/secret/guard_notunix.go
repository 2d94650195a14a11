//go:build !unix

package secret

import "io/fs"

// Guard does nothing on this system, which writes no core dumps by itself.
func Guard() {}

func isOwn(fs.FileInfo) bool { return true }
