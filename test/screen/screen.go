// Package screen is what a command writes to in a test.
package screen

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// Screen is an output that a test can wait for.
type Screen struct {
	mu   sync.Mutex // guards the following
	text bytes.Buffer
	more chan struct{} // closed and replaced at each write
}

// New is an empty Screen.
func New() *Screen { return &Screen{more: make(chan struct{})} }

// Write adds text, as whole as it comes.
func (s *Screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(b)
}

// Text is all the text until now, and what is closed when there is more.
func (s *Screen) Text() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.more
}

// String is all the text until now.
func (s *Screen) String() string {
	text, _ := s.Text()
	return text
}

// Await waits until what is the text's part.
func (s *Screen) Await(t *testing.T, what string) string {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		text, more := s.Text()
		if strings.Contains(text, what) {
			return text
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("got %q, want %q in it", text, what)
		}
	}
}

// Start has run write to a Screen with args, as a command's main does, until stop is
// called, which returns the exit code. The end of the test stops it, too.
func Start(t *testing.T, run func(ctx context.Context, args []string, out, errs io.Writer) int, args ...string) (out *Screen, stop func() int) {
	t.Helper()
	out = New()
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, out, out) }()
	stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { stop() })
	return out, stop
}

// CheckWidth fails the test if a line of text is wider than a terminal and no
// command or URL.
func CheckWidth(t *testing.T, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if n := len([]rune(line)); n > 80 && !strings.HasPrefix(line, "culvert doctor") && !strings.HasPrefix(line, "https://") {
			t.Errorf("got %d columns, want at most 80: %s", n, line)
		}
	}
}
