package settings

import (
	"os"
	"strings"
	"testing"
)

var secret = strings.Repeat("k", 64)

func set(t *testing.T, changed map[string]string) {
	t.Helper()
	all := map[string]string{
		"CULVERT_GATE": secret, "CULVERT_ORIGIN": "http://10.0.1.7:8080", "CULVERT_API": "k2pbx7q4mj", "CULVERT_STAGE": "v1",
	}
	for name, value := range all {
		if other, ok := changed[name]; ok {
			value = other
		}
		t.Setenv(name, value)
	}
}

func TestTheSecretLeavesTheEnvironment(t *testing.T) {
	set(t, nil)
	if _, err := parse(); err != nil {
		t.Fatalf("got %v, want no error", err)
	}
	if _, ok := os.LookupEnv("CULVERT_GATE"); ok {
		t.Error("got CULVERT_GATE in the environment still, want it gone")
	}
}

func TestTwoGenerationsAreAccepted(t *testing.T) {
	set(t, map[string]string{"CULVERT_GATE": secret + " " + strings.Repeat("x", 64)})
	if _, err := parse(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestMistakesAreToldWithoutTheSecret(t *testing.T) {
	for setting, values := range map[string][]string{
		"CULVERT_GATE":   {"", secret[1:], secret + "-", secret + "," + secret},
		"CULVERT_ORIGIN": {"", "10.0.1.7:8080", "http://", "ht tp://10.0.1.7", "http://10.0.1.7:port", "http://10.0.1.7:8080/path"},
		"CULVERT_API":    {""},
		"CULVERT_STAGE":  {""},
	} {
		for _, value := range values {
			set(t, map[string]string{setting: value})
			_, err := parse()
			if err == nil || strings.Contains(err.Error(), secret[1:]) {
				t.Errorf("%s=%q: got the error %v, want one without the secret", setting, value, err)
			}
		}
	}
}
