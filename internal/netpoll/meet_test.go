package netpoll

import "testing"

func TestAddressesMeetWhereOneListenerTakesTheOthersPort(t *testing.T) {
	t.Parallel()
	for pair, want := range map[[2]string]bool{
		{":80", ":80"}:                     true,
		{":80", "127.0.0.1:80"}:            true,
		{"0.0.0.0:80", "127.0.0.1:80"}:     true,
		{"0.0.0.0:80", "[::1]:80"}:         false,
		{"[::]:80", "127.0.0.1:80"}:        true,
		{":http", "localhost:80"}:          true,
		{"127.0.0.1:80", "127.0.0.2:80"}:   false,
		{":80", ":81"}:                     false,
		{":0", ":0"}:                       false,
		{"off", ":80"}:                     false,
		{"a.example:443", "b.example:443"}: false,
	} {
		if got := Meet(pair[0], pair[1]) || Meet(pair[1], pair[0]); got != want {
			t.Errorf("%v: got %v, want %v", pair, got, want)
		}
	}
}
