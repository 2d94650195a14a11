package main

import (
	"os/exec"
	"strings"
	"testing"
)

// An origin that has run for long has more numbers than Systems Manager hands on.
func TestTheNumbersThatAreShownFitSystemsManagersAnswer(t *testing.T) {
	t.Parallel()
	const limit = 2500
	metrics := strings.Repeat("culvert_bytes_total{direction=\"down\",service=\"media\"} 1\n", limit/40) +
		"culvert_carriers 4\nculvert_tunnel_carriers_total 9\nculvert_tunnels 7\nculvert_users 3\n"
	machine := "seq() { echo 1; }; curl() { cat; }; " + readGauges
	cmd := exec.Command("sh", "-c", machine)
	cmd.Stdin = strings.NewReader(metrics)
	out, err := cmd.Output()
	if err != nil || len(out) > limit/10 {
		t.Fatalf("got %d characters and %v, want at most %d for each release", len(out), err, limit/10)
	}
	sums, machines := addUp([]string{string(out)})
	if machines != 1 || sums["culvert_users"] != 3 || sums["culvert_tunnels"] != 7 || sums["culvert_carriers"] != 4 {
		t.Errorf("got %v of %d machines, want 3 users, 7 tunnels and 4 carriers of one", sums, machines)
	}
}
