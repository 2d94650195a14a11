// Package version says which build of Culvert a program is.
package version

import (
	"runtime/debug"
	"strings"
	"time"
)

// Build is what a program was built from. What the build does not know is empty.
type Build struct {
	Version string    // of the module, "v1.2.0" or "v0.0.0-20261126224333-cdb23e6d8a1b" for example
	Commit  string    // in hexadecimal
	Time    time.Time // when the commit was made; no machine's clock that is set shows an earlier time
	Go      string    // "go1.26.8" for example
}

// Read says what this program was built from.
func Read() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{}
	}
	return read(info)
}

func read(info *debug.BuildInfo) Build {
	b := Build{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time, _ = time.Parse(time.RFC3339, s.Value) // zero if it is none
		}
	}
	return b
}

// String names the version and commit that were built, as far as the build
// knows them, and the Go that built them: "v0.0.0-20261126224333-cdb23e6d8a1b
// go1.26.8", for example.
func String() string { return Read().String() }

// shortCommit is how many digits of a commit stand in a version that the go
// command has made of it.
const shortCommit = 12

// String names the commit unless the version does.
func (b Build) String() string {
	switch {
	case b == Build{}:
		return "unknown"
	case b.Commit == "" || strings.Contains(b.Version, b.Commit[:min(shortCommit, len(b.Commit))]):
		return b.Version + " " + b.Go
	}
	return b.Version + " " + b.Commit + " " + b.Go
}
