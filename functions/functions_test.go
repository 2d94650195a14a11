//go:build unix

// Package functions holds no code: its test measures the programs in its
// folders.
package functions

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What Lambda loads and starts when there is no instance, of which a client
// waits for two: $connect's and its first message's.
const (
	maxSize  = 7 << 20
	maxStart = 10 * time.Millisecond // the median of starts
	starts   = 20
)

// The time is measured on a machine that has nothing else to do, so only .ci/sam
// wants it.
func TestFunctionsAreSmallAndStartAtOnce(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL is not set")
	}
	for _, arch := range []string{"arm64", "x86_64"} {
		for _, name := range []string{"Connect", "Message", "Disconnect"} {
			checkSize(t, name+" for "+arch, build(t, arch, name))
		}
	}
	took := measure(t, build(t, map[string]string{"arm64": "arm64", "amd64": "x86_64"}[runtime.GOARCH], "Message"))
	t.Logf("asks for its first event %v after it is started (median of %d), %v at most", took[starts/2], starts, took[starts-1])
	if took[0] > maxStart { // whatever else the machine does makes them slower, and nothing makes them quicker
		t.Errorf("got %v for the quickest, want %v at most", took[0], maxStart)
	}
}

// build makes what "sam build" makes.
func build(t *testing.T, arch, name string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "make", "-C", "..", "build-"+name+"Function", "ARCH="+arch, "ARTIFACTS_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return filepath.Join(dir, "bootstrap")
}

func checkSize(t *testing.T, what, bin string) {
	t.Helper()
	info, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %.2f MB", what, float64(info.Size())/(1<<20))
	if info.Size() > maxSize {
		t.Errorf("got %d bytes, want %d at most", info.Size(), maxSize)
	}
}

// measure starts bin again and again, each time until it asks the Runtime API
// for an event. Where it may, it goes before all else that the machine does.
func measure(t *testing.T, bin string) []time.Duration {
	t.Helper()
	runtime.LockOSThread() // it is no longer as others are, and ends with this goroutine
	syscall.Setpriority(syscall.PRIO_PROCESS, 0, -20)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan time.Time)
	api := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- time.Now()
		<-r.Context().Done()
	})}
	go api.Serve(l)
	defer api.Close()
	var took []time.Duration
	for range starts {
		took = append(took, start(t, bin, l.Addr().String(), asked))
	}
	slices.Sort(took)
	return took
}

func start(t *testing.T, bin, api string, asked <-chan time.Time) time.Duration {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + api, "CULVERT_GATE=" + strings.Repeat("k", 64),
		"CULVERT_ORIGIN=http://10.0.1.7:8080", "CULVERT_API=api", "CULVERT_STAGE=v1"}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	select {
	case at := <-asked:
		return at.Sub(began)
	case <-time.After(5 * time.Second):
		t.Fatal("got no question for an event in 5 s, want one at once")
		return 0
	}
}
