package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/test/ports"
)

// openFiles bounds the open files of this test's own program as an edge.
const openFiles = "CULVERT_TEST_OPEN_FILES"

func limitFiles() {
	if n, err := strconv.ParseUint(os.Getenv(openFiles), 10, 32); err == nil {
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n})
	}
	os.Unsetenv(openFiles)
}

// Far more connections come than the process may open files, and say nothing: the next visitor sees the origin's
// website all the same, again and again.
func TestAnEdgeShortOfOpenFilesServesVisitors(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "soups") }))
	defer far.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	at := ports.Loopback()
	p := exec.Command(self)
	p.Env = []string{asEdge + "=1", openFiles + "=128", "CULVERT_ORIGIN=" + far.URL, "CULVERT_LISTEN=" + at, "CULVERT_DRAIN=1s"}
	log, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Process.Kill()
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "msg=ready") {
	}
	go io.Copy(io.Discard, log)
	for range 300 {
		silent, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
	}
	visitor := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 20 {
		answer, err := visitor.Get("http://" + at + "/")
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(page) != "soups" || err != nil {
			t.Fatalf("got %q, %v; want the origin's page", page, err)
		}
	}
}
