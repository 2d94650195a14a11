package gate

import (
	"strings"
	"testing"
)

func TestTheFunctionIsSmallEnough(t *testing.T) {
	t.Parallel()
	const quota = 10 << 10 // CloudFront's for a function
	if n := len(Code(strings.Repeat("x", 64) + " " + strings.Repeat("x", 64))); n > quota {
		t.Errorf("got %d bytes, want at most %d", n, quota)
	}
	if strings.Count(handler+rules, secrets) != 1 {
		t.Errorf("got %s %d times, want once", secrets, strings.Count(handler+rules, secrets))
	}
}
