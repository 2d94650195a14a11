package look

import (
	"testing"

	utls "github.com/refraction-networking/utls"
)

func TestTheNewestTicketsAreKeptAndEachGivenOnce(t *testing.T) {
	t.Parallel()
	var kept Tickets
	var all []*utls.ClientSessionState
	for range maxTickets + 2 {
		all = append(all, new(utls.ClientSessionState))
		kept.Put("", all[len(all)-1])
		kept.Put("", nil) // what uTLS calls once one has failed
	}
	for i := len(all) - 1; i >= 2; i-- {
		if got, ok := kept.Get(""); !ok || got != all[i] {
			t.Errorf("got %p, %v, want number %d of %d", got, ok, i+1, len(all))
		}
	}
	if got, ok := kept.Get(""); ok || got != nil {
		t.Errorf("got %p, %v, want none left", got, ok)
	}
}
