package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestTheGatewaysRegionIsInItsName(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
	for name, c := range map[string]struct{ gateway, region, want string }{
		"none":              {"", "eu-west-1", ""},
		"of an API":         {"https://a1b2c3.execute-api.ap-south-2.amazonaws.com/v1", "eu-west-1", "ap-south-2"},
		"of an API, alone":  {"https://a1b2c3.execute-api.me-central-1.amazonaws.com/v1", "", "me-central-1"},
		"in China":          {"https://a1b2c3.execute-api.cn-north-1.amazonaws.com.cn/v1", "", "cn-north-1"},
		"of another name":   {"https://api.example/v1", "eu-west-1", "eu-west-1"},
		"somebody's domain": {"https://x.execute-api.eu-west-1.amazonaws.com.example/v1", "us-east-1", "us-east-1"},
		"nowhere":           {"https://api.example/v1", "", "AWS_REGION"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REGION", c.region)
			cfg, err := load(t, map[string]string{"CULVERT_SECRET_FILE": secretFile(t), "CULVERT_GATEWAY": c.gateway, "CULVERT_ADVERTISE": "10.0.1.7:8080"})
			if err != nil {
				t.Fatal(err)
			}
			g, err := cfg.gateway(t.Context())
			if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && g.Region != c.want {
				t.Errorf("got %q and %v, want %s", g.Region, err, c.want)
			}
		})
	}
}

func TestAGatewayNeedsAnAddressForFunctions(t *testing.T) {
	_, err := load(t, map[string]string{"CULVERT_SECRET_FILE": secretFile(t), "CULVERT_GATEWAY": "https://a.example/v1"})
	if err == nil || !strings.Contains(err.Error(), "CULVERT_ADVERTISE: is not set, but CULVERT_GATEWAY is") {
		t.Errorf("got %v, want CULVERT_ADVERTISE asked for", err)
	}
}

func TestAdvertisedAddresses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]advertised{
		"10.0.1.7:8080":        {netip.MustParseAddr("10.0.1.7"), 8080, 8080},
		"10.0.1.7:8090-8099":   {netip.MustParseAddr("10.0.1.7"), 8090, 8099},
		"[10.0.1.7]:8090":      {netip.MustParseAddr("10.0.1.7"), 8090, 8090},
		"[fd00::1]:0":          {netip.MustParseAddr("fd00::1"), 0, 0},
		"[::ffff:10.0.1.7]:1":  {netip.MustParseAddr("10.0.1.7"), 1, 1},
		"":                     {},
		"10.0.1.7":             {},
		"origin.example:80":    {},
		":8080":                {},
		"0.0.0.0:8080":         {},
		"224.0.0.1:8080":       {},
		"[fe80::1%eth0]:8080":  {},
		"10.0.1.7:8099-8090":   {},
		"10.0.1.7:0-8090":      {},
		"10.0.1.7:8090-":       {},
		"10.0.1.7:65536":       {},
		"10.0.1.7:8090-808090": {},
	} {
		var got advertised
		err := got.UnmarshalText([]byte(in))
		if (err == nil) != want.isSet() || err == nil && got != want {
			t.Errorf("%q: got %v and %v, want %v", in, got, err, want)
		}
	}
}

func TestTheFirstFreePortIsAdvertised(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	here := netip.MustParseAddr("127.0.0.1")
	at, ln, err := advertised{here, port, port + 20}.listen(":1")
	if err != nil || at.Port() <= port || ln.Addr().String() != at.String() {
		t.Errorf("got %v and %v, want a port after %d", at, err, port)
	}
	ln.Close()
	if _, _, err := (advertised{here, port, port}).listen(":1"); err == nil || !strings.Contains(err.Error(), "CULVERT_ADVERTISE") {
		t.Errorf("got %v, want the taken port refused", err)
	}
	at, ln, err = advertised{here, 8080, 8080}.listen(":8080")
	if err != nil || ln != nil || at.Port() != 8080 {
		t.Errorf("got %v and %v, want the main listener's port and no other", at, err)
	}
	if at, ln, err := (advertised{}).listen(":8080"); at.IsValid() || ln != nil || err != nil {
		t.Errorf("got %v and %v, want none", at, err)
	}
}
