package client

import (
	"context"
	"errors"
	"strings"
	"testing"

	"culvert/client/front"
	"culvert/internal/link"
)

var errNo = errors.New("no")

func TestRaceFrontsJoinsTheErrorsOfAllFronts(t *testing.T) {
	t.Parallel()
	fronts := []link.Front{{Host: "a.example"}, {Host: "b.example"}}
	_, i, err := raceFronts(t.Context(), fronts, 1, func(_ context.Context, f link.Front) (int, error) {
		return 0, front.Failed(front.StepTLS, errNo)
	}, func(int) {})
	if i != -1 || !errors.Is(err, errNo) {
		t.Fatalf("got %d, %v; want -1 and %v", i, err, errNo)
	}
	for _, want := range []string{"front 1: TLS", "front 2: TLS"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	if strings.Contains(err.Error(), "example") {
		t.Errorf("got %q, want no names", err)
	}
}

func TestRaceFrontsReturnsTheFrontThatWon(t *testing.T) {
	t.Parallel()
	fronts := []link.Front{{Host: "a.example"}, {Host: "b.example"}}
	v, i, err := raceFronts(t.Context(), fronts, 0, func(_ context.Context, f link.Front) (string, error) {
		if f.Host == "a.example" {
			return "", errNo
		}
		return f.Host, nil
	}, func(string) {})
	if v != "b.example" || i != 1 || err != nil {
		t.Errorf("got %q, %d, %v; want the second", v, i, err)
	}
}
