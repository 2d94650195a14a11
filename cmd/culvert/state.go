package main

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
)

// noState is what --state takes for no directory at all.
const noState = "none"

// stateDir is where programs of this user's keep what is of use at their next start; none where there
// is no such place.
func stateDir() string {
	base, err := os.UserConfigDir()
	if runtime.GOOS != "windows" && runtime.GOOS != "darwin" {
		var home string
		home, err = os.UserHomeDir()
		base = cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state"))
	}
	if err != nil || !filepath.IsAbs(base) {
		return noState
	}
	return filepath.Join(base, "culvert")
}
