package fronting

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/test/ports"
)

// CULVERT_START_LIMIT bounds the time from starting the program to its first
// answer, of which the median counts; without it the time of a few starts is only
// told: machines differ.
func TestTheOriginStartsAtOnce(t *testing.T) {
	onLinux(t)
	limit, err := time.ParseDuration(os.Getenv("CULVERT_START_LIMIT"))
	limited, starts := err == nil, 3
	if limited {
		starts = 20
	}
	secret := write(t, seal.NewMaster().Text()+"\n", t.TempDir(), "secret")
	var took []time.Duration
	for range starts {
		took = append(took, coldStart(t, secret))
	}
	slices.Sort(took)
	median := took[starts/2]
	t.Logf("the first answer came %v after the start (median of %d; the slowest after %v)", median, starts, took[starts-1])
	if limited && median > limit {
		t.Errorf("got %v, want %v at most", median, limit)
	}
}

func coldStart(t *testing.T, secret string) time.Duration {
	t.Helper()
	at := ports.Loopback()
	begin := time.Now()
	p := start(t, []string{"CULVERT_LISTEN=" + at, "CULVERT_ADMIN_LISTEN=off", "CULVERT_SECRET_FILE=" + secret}, filepath.Join(bin, "origin"))
	defer p.stop(os.Interrupt)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Since(begin) < 10*time.Second && !p.gone() {
		if res, err := http.Get("http://" + at + "/"); err == nil {
			res.Body.Close()
			return time.Since(begin)
		}
		<-tick.C
	}
	t.Fatalf("no answer: %s", p.out)
	return 0
}
