package share

import (
	"testing"
	"time"
)

// One may do much at once and some for ever, and another is not hindered.
func TestARateIsOfEach(t *testing.T) {
	t.Parallel()
	r, now, done := NewRates[int](20, 500), time.Unix(1_800_000_000, 0), 0
	for range 240 { // seconds
		for range 400 {
			if r.Allow(1, now) {
				done++
			}
		}
		now = now.Add(time.Second)
	}
	if least, most := 500+200*20, 500+240*20; done < least || done > most {
		t.Errorf("got %d in four minutes, want %d to %d: the burst and the rate", done, least, most)
	}
	if !r.Allow(2, now) {
		t.Error("another is refused")
	}
}

func TestThoseAtRestAreForgotten(t *testing.T) {
	t.Parallel()
	r, now := NewRates[int](200, 500), time.Unix(1_800_000_000, 0)
	for who := range 5 * maxRates {
		now = now.Add(10 * time.Millisecond)
		if !r.Allow(who, now) {
			t.Fatalf("%d is refused", who)
		}
	}
	if len(r.by) > maxRates+100 {
		t.Errorf("got %d remembered, want %d at most, and those of a second", len(r.by), maxRates)
	}
}

func TestHoweverManyThereAreFewAreRemembered(t *testing.T) {
	t.Parallel()
	r, now := NewRates[int](0.001, 1), time.Unix(1_800_000_000, 0)
	for who := range 2 * mostRates {
		r.Allow(who, now)
	}
	if len(r.by) > mostRates {
		t.Errorf("got %d remembered, want %d at most", len(r.by), mostRates)
	}
}
