package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// recorder is a browser that writes down how it was called, and stays.
func recorder(t *testing.T, name string) (called func() string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("has no shell")
	}
	dir := t.TempDir()
	program, record := filepath.Join(dir, name), filepath.Join(dir, "called")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" > '" + record + ".new'\nmv '" + record + ".new' '" + record + "'\nexec sleep 60\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BROWSER", program)
	return func() string {
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if b, err := os.ReadFile(record); err == nil {
				return string(b)
			}
		}
		t.Fatal("the browser was not called")
		return ""
	}
}

func TestABrowserGoesByTheProxyAlone(t *testing.T) {
	called := recorder(t, "chromium")
	keep := t.TempDir()
	end, err := openBrowser(t.Context(), "127.0.0.1:1080", keep, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	got := called()
	for _, want := range []string{"--proxy-server=socks5://127.0.0.1:1080\n", "--proxy-bypass-list=<-loopback>\n", "--user-data-dir=" + filepath.Join(keep, "browser") + "\n", "\nhttps://web.whatsapp.com/\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFirefoxGoesByTheProxyAlone(t *testing.T) {
	called := recorder(t, "firefox-esr")
	keep := t.TempDir()
	end, err := openBrowser(t.Context(), "127.0.0.1:1081", keep, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	prefs, err := os.ReadFile(filepath.Join(keep, "browser", "user.js"))
	for _, want := range []string{`socks", "127.0.0.1"`, `socks_port", 1081)`, `socks_remote_dns", true`} {
		if err != nil || !strings.Contains(string(prefs), want) {
			t.Errorf("got %v and %s, want %s", err, prefs, want)
		}
	}
	if got := called(); !strings.Contains(got, "--profile\n"+filepath.Join(keep, "browser")+"\n") {
		t.Errorf("got %s, want a profile of its own", got)
	}
}

// The profile of a browser for which nothing is to be kept is gone with it.
func TestABrowsersProfileIsRemoved(t *testing.T) {
	called := recorder(t, "chromium")
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	var logs bytes.Buffer
	end, err := openBrowser(ctx, "127.0.0.1:1080", "", &logs)
	if err != nil {
		t.Fatal(err)
	}
	called()
	cancel()
	end()
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 || logs.Len() > 0 {
		t.Errorf("got %v, %v left and %q said, want nothing", err, left, logs.String())
	}
}

func TestABrowserThatIsNotThereIsNamed(t *testing.T) {
	t.Setenv("BROWSER", filepath.Join(t.TempDir(), "none"))
	if _, err := openBrowser(t.Context(), "127.0.0.1:1080", "", io.Discard); err != errNoBrowser {
		t.Errorf("got %v, want %v", err, errNoBrowser)
	}
}
