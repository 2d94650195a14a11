// Package version says which build of Culvert a program is.
package version

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// String names the version and commit that were built, as far as the build
// knows them, and the Go that built them: "v0.0.0-20261126224333-cdb23e6d8a1b
// go1.26.8", for example.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return describe(info)
}

// shortCommit is how many digits of a commit stand in a version that the go
// command has made of it.
const shortCommit = 12

func describe(info *debug.BuildInfo) string {
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(version, s.Value[:min(shortCommit, len(s.Value))]) {
			version += " " + s.Value
		}
	}
	return fmt.Sprintf("%s %s", version, info.GoVersion)
}
