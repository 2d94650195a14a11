package origin

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"culvert/internal/share"
)

// An operator is told once a minute what kind of share is used up, and how often.
func TestPressureIsToldOnceAMinuteByKind(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b, now := share.NewBound[uint32](1), time.Now()
	p := &pressure{log: slog.New(slog.NewTextHandler(&out, nil)), said: now, before: map[string]uint64{}}
	p.bound("tunnels", b)
	p.tell(now.Add(2 * warnEvery))
	first, second := b.Open(7, nil), b.Open(7, nil)
	first.Take(1)
	first.Take(1) // refused
	if payer, ok := second.Take(1); ok {
		payer.Pay(second) // something of the first's ends
	}
	for i := range 10 {
		p.tell(now.Add(4*warnEvery + time.Duration(i)*time.Second))
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "user=1 session=1 stranger=0") {
		t.Errorf("got %q, want one line that counts one of a user's and one of a session's", got)
	}
}
