package version

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func TestTheCommitIsNamedOnceAndGoAsWell(t *testing.T) {
	t.Parallel()
	const commit = "cdb23e6d8a1b00000000000000000000000000ff"
	for version, want := range map[string]string{
		"(devel)":                              "(devel) " + commit + " go1.26.8",
		"v1.2.0":                               "v1.2.0 " + commit + " go1.26.8",
		"v0.0.0-20261126224333-cdb23e6d8a1b":   "v0.0.0-20261126224333-cdb23e6d8a1b go1.26.8",
		"v1.2.1-0.20261126-cdb23e6d8a1b+dirty": "v1.2.1-0.20261126-cdb23e6d8a1b+dirty go1.26.8",
	} {
		info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: version},
			Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: commit}}}
		if got := read(info).String(); got != want {
			t.Errorf("%s: got %q, want %q", version, got, want)
		}
	}
	if got := String(); !strings.HasSuffix(got, runtime.Version()) {
		t.Errorf("got %q, want it to end with %q", got, runtime.Version())
	}
}

func TestTheTimeOfTheCommitIsKnown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"2026-11-26T22:43:33Z": time.Date(2026, 11, 26, 22, 43, 33, 0, time.UTC),
		"last Thursday":        {},
	} {
		info := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.time", Value: text}}}
		if got := read(info).Time; !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
