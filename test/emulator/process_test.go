package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"culvert/test/screen"
)

// bootstrap builds the function in testdata as for the cloud, once.
var bootstrap = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", path, "./testdata/bootstrap")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "emulator"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

func newProcess(t *testing.T, s Settings) *Process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Lambda's binaries are for Linux; other Unixes do as well")
	}
	path, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	p := NewProcess(path, s)
	t.Cleanup(p.Close)
	return p
}

// do lets the function do what body says, and returns what it answers.
func do(t *testing.T, p *Process, body string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	in, _ := json.Marshal(map[string]string{"body": body})
	out, err := p.Invoke(ctx, in)
	if err != nil {
		return "", err
	}
	var reply struct{ Body string }
	if err := json.Unmarshal(out, &reply); err != nil {
		t.Errorf("got %q, want JSON", out)
	}
	return reply.Body, nil
}

func TestABootstrapRunsAsInLambda(t *testing.T) {
	t.Parallel()
	p := newProcess(t, Settings{Name: "Message", Region: "eu-west-1", MemoryMB: 256, Env: map[string]string{"OWN": "setting"}})
	if got, err := do(t, p, "echo hello"); got != "hello" || err != nil {
		t.Errorf("got %q and %v, want hello", got, err)
	}
	want := "arn:aws:lambda:eu-west-1:123456789012:function:Message 36 true"
	if got, err := do(t, p, "context"); got != want || err != nil {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
	got, err := do(t, p, "environment")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"OWN=setting", "AWS_LAMBDA_FUNCTION_NAME=Message", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_REGION=eu-west-1", "LAMBDA_TASK_ROOT=" + scratch} {
		if !strings.Contains(got, want) {
			t.Errorf("got an environment without %s", want)
		}
	}
	if strings.Contains(got, "HOME=") {
		t.Error("got an environment with HOME: ours was inherited")
	}
}

func TestAnInstanceIsUsedAgainAndMoreAreStartedAtNeed(t *testing.T) {
	t.Parallel()
	p := newProcess(t, Settings{})
	first, _ := do(t, p, "pid")
	for range 20 {
		if got, err := do(t, p, "pid"); got != first || err != nil {
			t.Fatalf("got process %s and %v, want %s again", got, err, first)
		}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := do(t, p, "wait 200ms"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := p.instances(); got != 4 {
		t.Errorf("got %d instances, want 4", got)
	}
}

func (p *Process) instances() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

func TestMoreInvocationsThanMayAreThrottled(t *testing.T) {
	t.Parallel()
	p := newProcess(t, Settings{Concurrency: 1})
	done := make(chan error)
	go func() {
		_, err := do(t, p, "wait 300ms")
		done <- err
	}()
	eventually(t, func() bool { return p.instances() == 1 })
	if _, err := do(t, p, "echo"); !errors.Is(err, errThrottled) {
		t.Errorf("got %v, want %v", err, errThrottled)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// eventually waits for what a process of the system does.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("nothing happened")
		}
	}
}

// A function that fails in any way fails its invocation alone: the next one works.
func TestAFailureEndsItsInvocationOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, kind, message string }{
		{"fail a reason", "errorString", "a reason"},
		{"panic a reason", "string", "a reason"},
		{"exit", "Runtime.ExitError", "exit status 7"},
		{"wait 1h", "Sandbox.Timedout", "after 500ms"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, Settings{Timeout: 500 * time.Millisecond})
			_, err := do(t, p, c.body)
			var got *FunctionError
			if !errors.As(err, &got) || got.Type != c.kind || !strings.Contains(got.Message, c.message) {
				t.Errorf("got %v, want %s with %q", err, c.kind, c.message)
			}
			if got, err := do(t, p, "echo again"); got != "again" || err != nil {
				t.Errorf("afterwards: got %q and %v, want again", got, err)
			}
		})
	}
}

func TestAnInstanceThatDoesNotStartFailsItsInvocation(t *testing.T) {
	t.Parallel()
	for start, want := range map[string]string{"fail": "exit status 3", "hang": "no event was asked for within 300ms"} {
		p := newProcess(t, Settings{InitTimeout: 300 * time.Millisecond, Env: map[string]string{"START": start}})
		if _, err := do(t, p, "echo"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	missing := NewProcess(filepath.Join(scratch, "missing"), Settings{})
	defer missing.Close()
	if _, err := do(t, missing, "echo"); !errors.As(err, new(*FunctionError)) {
		t.Errorf("without a bootstrap: got %v, want a FunctionError", err)
	}
}

func TestAnInstanceKilledMidInvocationIsReplaced(t *testing.T) {
	t.Parallel()
	kills := make(chan bool, 2)
	kills <- true
	kills <- false
	p := newProcess(t, Settings{Kill: func() (time.Duration, bool) { return 0, <-kills }})
	if _, err := do(t, p, "wait 1m"); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v, want killed", err)
	}
	if got, err := do(t, p, "echo again"); got != "again" || err != nil {
		t.Errorf("got %q and %v, want again", got, err)
	}
}

func TestIdleInstancesEnd(t *testing.T) {
	t.Parallel()
	p := newProcess(t, Settings{Idle: 50 * time.Millisecond})
	if _, err := do(t, p, "echo"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return p.instances() == 0 })
	if got, err := do(t, p, "echo again"); got != "again" || err != nil {
		t.Errorf("got %q and %v, want again", got, err)
	}
}

// Whoever waits gives up; the function goes on, and its instance is used again.
func TestAnInvocationOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	p := newProcess(t, Settings{})
	first, _ := do(t, p, "pid")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Invoke(ctx, []byte(`{"body":"wait 50ms"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.idle) == 1 })
	if got, err := do(t, p, "pid"); got != first || err != nil {
		t.Errorf("got process %s and %v, want %s", got, err, first)
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	t.Parallel()
	p := newProcess(t, Settings{Timeout: time.Minute})
	done := make(chan error)
	go func() {
		_, err := do(t, p, "wait 1m")
		done <- err
	}()
	eventually(t, func() bool { return p.instances() == 1 })
	p.Close()
	if err := <-done; err == nil {
		t.Error("got an answer, want an error")
	}
	if _, err := do(t, p, "echo"); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
}

func TestTheRuntimeAPIRefusesWhatIsNotItsTurn(t *testing.T) {
	t.Parallel()
	p := NewProcess("/nowhere", Settings{})
	defer p.Close()
	i := newInstance(p)
	door := newPipes()
	srv := &http.Server{Handler: i.api()}
	go srv.Serve(door)
	defer srv.Close()
	client := http.Client{Transport: &http.Transport{DialContext: door.dial}}
	const root = "http://runtime/2018-06-01/runtime/"
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "invocation/unknown/response", "{}", http.StatusBadRequest},
		{"POST", "invocation/unknown/error", "{}", http.StatusBadRequest},
		{"POST", "invocation/unknown/response", strings.Repeat("x", maxReply+1), http.StatusRequestEntityTooLarge},
		{"POST", "invocation/next", "", http.StatusMethodNotAllowed},
		{"GET", "elsewhere", "", http.StatusNotFound},
		{"POST", "init/error", `{"errorType":"Own","errorMessage":"why"}`, http.StatusAccepted},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), c.method, root+c.path, strings.NewReader(c.body))
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s %s: got %d, want %d", c.method, c.path, res.StatusCode, c.want)
		}
	}
	if got := i.reason.err.Error(); got != "Own: why" {
		t.Errorf("got %q as the reason, want what the process said", got)
	}
}

func TestWhatProcessesPrintGoesToOutput(t *testing.T) {
	t.Parallel()
	out := screen.New()
	p := newProcess(t, Settings{Output: out})
	do(t, p, "fail with a line")
	p.Close()
	if got := out.String(); !strings.Contains(got, "with a line") {
		t.Errorf("got %q, want the function's log", got)
	}
}

// An answer without an event would make the process complain before it is dead.
func TestAnInstanceThatIsToEndGetsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProcess("/nowhere", Settings{})
		defer p.Close()
		i, answered := newInstance(p), false
		ctx, dead := context.WithCancel(t.Context())
		go func() {
			i.next(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
			answered = true
		}()
		i.kill()
		synctest.Wait()
		if answered {
			t.Error("got an answer, want none while the process lives")
		}
		dead()
	})
}

// Whatever becomes of instances, every message gets an answer.
func TestNoMessageIsForgottenWhenInstancesDie(t *testing.T) {
	t.Parallel()
	p := newProcess(t, Settings{
		Concurrency: 8,
		Env:         map[string]string{"START": "nonsense"}, // so that the client is told of success, too
		Kill:        func() (time.Duration, bool) { return rand.N(2 * time.Millisecond), rand.N(5) == 0 },
	})
	m := new(Meter)
	g := New(Routes{Default: p}, Options{Meter: m, MaxInFlight: 8})
	defer g.Close()
	srv := httptest.NewServer(g)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http")+"/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	const messages = 300
	go func() {
		for range messages {
			c.Write(ctx, websocket.MessageText, []byte("echo"))
		}
	}()
	for i := range messages {
		if _, _, err := c.Read(ctx); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
	if got := m.Use().Messages; got != 2*messages {
		t.Errorf("got %d messages, want %d", got, 2*messages)
	}
}
