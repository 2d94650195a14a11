package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/test/ports"
)

// openFiles bounds the open files of this test's own program as an origin.
const openFiles = "CULVERT_TEST_OPEN_FILES"

func limitFiles() {
	if n, err := strconv.ParseUint(os.Getenv(openFiles), 10, 32); err == nil {
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n})
	}
	os.Unsetenv(openFiles)
}

// Far more connections come than the process may open files, and say nothing. What goes on does, a new user gets
// in, the operator is answered, and one line says what to do.
func TestAnOriginShortOfOpenFilesServesItsUsers(t *testing.T) {
	t.Parallel()
	master, at, admin := seal.NewMaster(), ports.Loopback(), ports.Loopback()
	upstream, coming := listenUpstream(t)
	p := startOrigin(t, openFiles+"=128", "CULVERT_ADMIN_LISTEN="+admin, "CULVERT_SECRET_FILE="+secretFile(t, master.Text()),
		"CULVERT_LISTEN="+at, "CULVERT_UPSTREAM_CHAT="+upstream, "CULVERT_ALLOW_PRIVATE=true")
	c := newCDN(t, at)
	long := openStream(t, startClient(t, c, master.Client(1)), coming, nil)
	for range 300 {
		silent, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
	}
	long.carry(t, 2, func(int) {})
	openStream(t, startClient(t, c, master.Client(2)), coming, nil).carry(t, 1, func(int) {})
	if n := scarce(t, admin); n < 200 {
		t.Errorf("got %d connections counted as open files were scarce, want over 200", n)
	}
	for line := range p.until("open files are scarce") {
		if strings.Contains(line, "limit=128") && strings.Contains(line, "LimitNOFILE") {
			return
		}
	}
	t.Error("no line says that open files are scarce, and what to try")
}

// until are the lines of the log as far as one with these words, or of the next seconds.
func (p *process) until(words string) func(func(string) bool) {
	return func(yield func(string) bool) {
		timeout := time.After(10 * time.Second)
		for {
			select {
			case line, ok := <-p.lines:
				if !ok || !yield(line) || strings.Contains(line, words) {
					return
				}
			case <-timeout:
				return
			}
		}
	}
}

var scarceTotal = regexp.MustCompile(`(?m)^culvert_open_files_scarce_total (\d+)$`)

func scarce(t *testing.T, admin string) int {
	t.Helper()
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := scarceTotal.FindSubmatch(text)
	if m == nil {
		t.Fatal("there is no such metric")
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}
