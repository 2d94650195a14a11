package client

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"culvert/client/front"
	"culvert/internal/link"
)

var errNo = errors.New("no")

func TestTheErrorsOfAllFrontsAreJoined(t *testing.T) {
	t.Parallel()
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, errNo }
	fronts := []link.Front{{Host: "192.0.2.1", Gateway: true}, {Host: "192.0.2.2"}, {Host: "192.0.2.3"}}
	c, err := New(Config{Link: linkTo(fronts...), Dialer: &front.Dialer{Connect: refuse}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.dialSocket(t.Context(), wanted{home: c.pool.current(), may: streamFront})
	if !errors.Is(err, errNo) {
		t.Fatalf("got %v, want %v", err, errNo)
	}
	for _, want := range []string{"front 2: connect", "front 3: connect"} { // their numbers in the link
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	if strings.Contains(err.Error(), "192.0.2") {
		t.Errorf("got %q, want no addresses", err)
	}
}

func TestTheFrontThatWasGoodLastIsTriedFirst(t *testing.T) {
	t.Parallel()
	c, err := New(Config{Link: linkTo(link.Front{}, link.Front{Gateway: true}, link.Front{}, link.Front{Gateway: true})})
	if err != nil {
		t.Fatal(err)
	}
	none := func(link.Front) bool { return false }
	for _, s := range []struct {
		good int
		may  func(link.Front) bool
		want []int
	}{
		{0, anyFront, []int{0, 1, 2, 3}},
		{2, anyFront, []int{2, 0, 1, 3}},
		{2, streamFront, []int{2, 0}},
		{1, streamFront, []int{2, 0}}, // the one after it, as it may not be taken
		{3, streamFront, []int{0, 2}},
		{0, none, nil},
	} {
		c.health.reached(s.good)
		if got := c.frontsToTry(s.may); !slices.Equal(got, s.want) {
			t.Errorf("%d was good: got %v, want %v", s.good, got, s.want)
		}
	}
}
