package term

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoPausesInAnAnswerIsToldThatItGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ then, want string }{
		"the rest comes": {"not.\r", "whole or\nnot.\n"},
		"or an end":      {"\r", "whole or\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				typed, out := make(chan []byte), &bytes.Buffer{}
				h := hidden{Hidden: Hidden{More: "and?", Whole: func(s string) bool { return strings.HasSuffix(s, ".\n") }}, typed: typed, out: out}
				go func() {
					typed <- []byte("whole ")
					time.Sleep(2 * pause) // in the middle of a line nothing is said
					typed <- []byte("or\r")
					time.Sleep(2 * pause)
					typed <- []byte(c.then)
				}()
				if got, err := h.answer(t.Context()); got != c.want || err != nil || out.String() != "\r\nand?" {
					t.Errorf("got %q, %v and said %q; want %q, and the rest asked for once", got, err, out, c.want)
				}
			})
		})
	}
}
