package e2e

import (
	"context"
	"testing"
	"time"

	"culvert/client/doctor"
	"culvert/client/front"
	"culvert/internal/link"
)

// A front is examined by its own connections, also where the origin tells of others and withdraws it: what a
// person is told of it is no other's doing.
func TestDoctorExaminesEachFrontAlone(t *testing.T) {
	atBothDoors(t, func(t *testing.T, o *published) {
		one, first := o.way()
		two, second := o.way()
		o.publish(t, "all", o.list([]link.Withdrawal{first.Withdrawal()}, second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		l := &link.Link{Keys: o.master.Client(1), Fronts: []link.Front{first}}
		got := doctor.Examine(ctx, l, doctor.Options{Dialer: &front.Dialer{Connect: o.w.net.dial}}, doctor.Genuine(), doctor.Silent{})
		for _, c := range got.Checks {
			if c.Hop == doctor.Origin && c.Status != doctor.Passed {
				t.Errorf("got %+v, want an origin that was reached", c)
			}
		}
		if dials := two.dials.Load(); one.dials.Load() == 0 || dials > 0 {
			t.Errorf("the front examined was dialled %d times, another of the list %d times", one.dials.Load(), dials)
		}
	})
}
