package serve

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// example has a setting of each type.
type example struct {
	Listen Address       `env:"TEST_LISTEN" envDefault:"127.0.0.1:1" help:"where to listen" try:":443"`
	Admin  AdminAddress  `env:"TEST_ADMIN" envDefault:"127.0.0.1:2" empty:"off" help:"where to watch" try:"127.0.0.1:3"`
	To     URL           `env:"TEST_TO,required" help:"where to pass on" try:"https://a.example"`
	For    time.Duration `env:"TEST_FOR" envDefault:"20s" help:"how long" try:"20s"`
	Many   int           `env:"TEST_MANY" envDefault:"3" help:"how many" try:"3"`
	Risky  bool          `env:"TEST_RISKY" help:"whether" try:"true"`
	Secret string        `env:"TEST_SECRET,unset" help:"what nobody may see"`
	TLS    TLSFiles
}

func (e *example) Check() []SettingError {
	return append(e.TLS.Check(), Positive("TEST_MANY", e.Many, "3"), Wrong("TEST_FOR", nil, ""))
}

func set(t *testing.T, vars map[string]string) {
	for name, value := range vars {
		t.Setenv(name, value)
	}
}

var someProgram = Program{Name: "some", About: "does something."}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	set(t, map[string]string{"TEST_LISTEN": "here", "TEST_ADMIN": "x", "TEST_FOR": "soon", "TEST_MANY": "-1", "TEST_RISKY": "perhaps",
		"CULVERT_TLS_CERT": "/c"})
	err := Load(someProgram, new(example), nil, nil)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"TEST_LISTEN: is not host:port", "try TEST_LISTEN=:443",
		"TEST_ADMIN: is not host:port (an IPv6 address goes in brackets), nor \"off\"",
		"TEST_TO: is not set: where to pass on\n\ttry TEST_TO=https://a.example",
		"TEST_FOR: is not a duration", "TEST_MANY: is not above 0", "TEST_RISKY: is neither true nor false",
		"CULVERT_TLS_KEY: is not set, but CULVERT_TLS_CERT is",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
}

func TestASettingIsBlamedOnce(t *testing.T) {
	set(t, map[string]string{"TEST_TO": "http://a", "TEST_MANY": "many"})
	err := Load(someProgram, new(example), nil, nil)
	if want := "TEST_MANY: is not a whole number\n\ttry TEST_MANY=3"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestEmptyMeansNotSetUnlessTheSettingSaysOtherwise(t *testing.T) {
	set(t, map[string]string{"TEST_TO": "http://a/b", "TEST_LISTEN": "", "TEST_ADMIN": "", "TEST_MANY": ""})
	var got example
	if err := Load(someProgram, &got, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got.Listen != "127.0.0.1:1" || got.Admin != Off || got.Many != 3 || got.For != 20*time.Second || got.To.Path != "/b" {
		t.Errorf("got %+v, want the defaults and the admin listener off", got)
	}
}

func TestASecretLeavesTheEnvironment(t *testing.T) {
	set(t, map[string]string{"TEST_TO": "http://a", "TEST_SECRET": "s3cret"})
	var first, second example
	if err := errors.Join(Load(someProgram, &first, nil, nil), Load(someProgram, &second, nil, nil)); err != nil {
		t.Fatal(err)
	}
	if first.Secret != "s3cret" || second.Secret != "" {
		t.Errorf("got %q and then %q, want it once", first.Secret, second.Secret)
	}
}

func TestHelpListsEverySetting(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := Load(someProgram, new(example), []string{"--help"}, &out); err != ErrShown {
		t.Fatalf("got %v, want %v", err, ErrShown)
	}
	for _, f := range []string{"some: does something.", "TEST_LISTEN\n      where to listen\n      default: 127.0.0.1:1\n      example: TEST_LISTEN=:443",
		"TEST_TO\n      where to pass on\n      required", "TEST_SECRET\n      what nobody", "CULVERT_TLS_CERT", "CULVERT_TLS_KEY",
		"SIGHUP has it read the files of CULVERT_TLS_CERT, CULVERT_TLS_KEY again"} {
		if !strings.Contains(out.String(), f) {
			t.Errorf("got %q, want %q in it", out.String(), f)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := Load(someProgram, new(example), []string{"--version"}, &out); err != ErrShown || !strings.HasPrefix(out.String(), "some ") {
		t.Errorf("got %v and %q, want the version", err, out.String())
	}
	for _, args := range [][]string{{"serve"}, {"--listen", ":1"}, {"--help", "x"}} {
		if err := Load(someProgram, new(example), args, &out); err == nil || err == ErrShown {
			t.Errorf("%v: got %v, want an error", args, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{":443": true, "127.0.0.1:0": true, "[::1]:80": true, "a.example:65535": true,
		"127.0.0.1": false, "::1:80": false, ":http": false, ":65536": false, ":-1": false, "a:1:2": false, "off": false} {
		var a Address
		if err := a.UnmarshalText([]byte(in)); (err == nil) != ok {
			t.Errorf("%q: got %v, want it accepted: %v", in, err, ok)
		}
	}
	for in, want := range map[AdminAddress]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "127.8.0.1:1": true,
		":1": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "a.example:1": false} {
		if got := in.isLoopback(); got != want {
			t.Errorf("%q: got loopback %v, want %v", in, got, want)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{"http://a": true, "https://a.example:8443/path": true, "https://[::1]:1": true,
		"a.example": false, "a.example:443": false, "ftp://a": false, "wss://a": false, "https://": false, "https:///x": false,
		"https://user:pass@a": false, "https://a?b": false, "https://a#b": false, "https://a:b": false, "": false} {
		var u URL
		err := u.UnmarshalText([]byte(in))
		if (err == nil) != ok {
			t.Errorf("%q: got %v, want it accepted: %v", in, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), "pass") {
			t.Errorf("%q: got %q, want nothing of the value", in, err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("[::1]:80")
	f.Add(":443")
	f.Fuzz(func(t *testing.T, in string) {
		var a Address
		if a.UnmarshalText([]byte(in)) == nil && in != "" && string(a) != in {
			t.Errorf("got %q, want %q", a, in)
		}
	})
}
