package doctor

import (
	"context"
	"strings"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

func TestAdviceFollowsTheOriginsReason(t *testing.T) {
	t.Parallel()
	for why, want := range map[wire.Reason]string{
		wire.Unreachable: "--direct", wire.Refused: "new one", wire.Unknown: "again", wire.Busy: "later", wire.NotAllowed: "current version",
	} {
		if problem, try := adviceRelay(Proof{Err: whatsapp.ErrClosed}, why); problem == "" || !strings.Contains(try, want) {
			t.Errorf("%v: got %q, %q, want %q", why, problem, try, want)
		}
	}
	for _, err := range []error{whatsapp.ErrSignature, whatsapp.ErrNotWhatsApp, whatsapp.ErrClosed, whatsapp.ErrTimeout, context.DeadlineExceeded} {
		p := Proof{Err: err}
		problem, try := adviceRelay(p, 0)
		here, tryHere := adviceDirect(p, "chat")
		if problem == "" || try == "" || here == "" || tryHere == "" {
			t.Errorf("%v: got %q, %q and %q, %q, want texts", err, problem, try, here, tryHere)
		}
	}
}

func TestAWrongClockIsReported(t *testing.T) {
	t.Parallel()
	p := client.Probed{Hops: []client.Hop{{Name: client.HopNetwork}, {Name: client.HopTLS}, {Name: client.HopGate}}, Ahead: -2 * time.Hour}
	checks := (&subject{number: 1}).frontChecks(t.Context(), p)
	if got := checks[2].Detail; !strings.Contains(got, "clock is wrong by 2h0m0s") {
		t.Errorf("got %q, want the clock in it", got)
	}
}

func TestAClockThatIsTooWrongIsToBeSet(t *testing.T) {
	t.Parallel()
	p := client.Probed{Hops: []client.Hop{{Name: client.HopGate, Err: client.ErrNotLetIn}}, Ahead: 72 * time.Hour}
	if got := (&subject{number: 1}).frontChecks(t.Context(), p)[0]; got.Status != Failed || !strings.Contains(got.Problem, "wrong by 72h0m0s") || got.Try != "set the clock" {
		t.Errorf("got %q, %q, want the clock", got.Problem, got.Try)
	}
}
