package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAPackagesScriptsAreOfTheCommitsTime(t *testing.T) {
	t.Parallel()
	r := release{work: t.TempDir(), commit: time.Unix(1_800_000_000, 0).UTC()}
	name := r.kept("scripts/openrc-server-postinstall")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := r.scripts("openrc-server", "postinstall", "preremove")
	if err != nil || len(found) != 1 || found["postinstall"] != name {
		t.Fatalf("got %v and %v, want the one script", found, err)
	}
	info, err := os.Stat(name)
	if err != nil || !info.ModTime().Equal(r.commit) || info.Mode() != 0o755 {
		t.Errorf("got %v, %v, %v, want mode 755 and the commit's time", info.ModTime(), info.Mode(), err)
	}
}
