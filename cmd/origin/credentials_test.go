package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func credentials(t *testing.T, key string, expires time.Time) string {
	t.Helper()
	return secretFile(t, fmt.Sprintf(`{"Version": 1, "AccessKeyId": %q, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": %q}`, key, expires.Format(time.RFC3339)))
}

func TestTheGatewaysCredentialsComeFromAFile(t *testing.T) {
	file := credentials(t, "ASIA1", time.Now().Add(time.Hour))
	cfg, err := load(t, map[string]string{"CULVERT_SECRET_FILE": secretFile(t), "CULVERT_ADVERTISE": "10.0.1.7:8080",
		"CULVERT_GATEWAY": "https://a1b2c3.execute-api.ap-south-2.amazonaws.com/v1", "CULVERT_GATEWAY_CREDENTIALS": file})
	if err != nil {
		t.Fatal(err)
	}
	g, err := cfg.gateway(t.Context())
	if err != nil || g.Region != "ap-south-2" {
		t.Fatalf("got %q and %v, want the API's region", g.Region, err)
	}
	got, err := g.Credentials.Retrieve(t.Context())
	if err != nil || got.AccessKeyID != "ASIA1" || got.SecretAccessKey != "s" || got.SessionToken != "t" || !got.CanExpire {
		t.Errorf("got %v and %v, want what the file holds", got.AccessKeyID, err)
	}
}

func TestCredentialsThatEndSoonAreReadAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expires time.Time
		want    string
	}{"soon": {time.Now().Add(renewBefore / 2), "ASIA2"}, "later": {time.Now().Add(2 * renewBefore), "ASIA1"}} {
		file := credentials(t, "ASIA1", c.expires)
		p := credentialsFile(file).provider()
		if first, err := p.Retrieve(t.Context()); err != nil || first.AccessKeyID != "ASIA1" {
			t.Fatalf("%s: got %v and %v, want the first", name, first.AccessKeyID, err)
		}
		if err := os.Rename(credentials(t, "ASIA2", c.expires), file); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Retrieve(t.Context()); err != nil || got.AccessKeyID != c.want {
			t.Errorf("%s: got %v and %v, want %s", name, got.AccessKeyID, err, c.want)
		}
	}
}

func TestTheStandardInputIsReadOnce(t *testing.T) {
	for name, c := range map[string]struct {
		vars  map[string]string
		blame string
	}{
		"two secrets": {map[string]string{"CULVERT_SECRET_FILE": "-", "CULVERT_GATE_FILE": "-"}, "CULVERT_GATE_FILE: is the standard input, and so is CULVERT_SECRET_FILE"},
		"credentials": {map[string]string{"CULVERT_SECRET_FILE": secretFile(t), "CULVERT_GATEWAY_CREDENTIALS": "-"}, "CULVERT_GATEWAY_CREDENTIALS: is the standard input"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, c.vars); err == nil || !strings.Contains(err.Error(), c.blame) || !strings.Contains(err.Error(), "\ttry CULVERT_") {
				t.Errorf("got %v, want %q and a way out", err, c.blame)
			}
		})
	}
}

func TestAFileWithoutCredentialsIsNamed(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"missing": "/none", "empty": secretFile(t, "{}"), "no JSON": secretFile(t, "hunter2")} {
		_, err := credentialsFile(file).Retrieve(t.Context())
		if err == nil || !strings.Contains(err.Error(), "CULVERT_GATEWAY_CREDENTIALS: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want the setting named", name, err)
		}
	}
}
