package main

import (
	"strings"
	"testing"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

const gateSecret = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789zZ"

func TestSecretsComeFromFilesOrAPipe(t *testing.T) {
	t.Parallel()
	master, older := seal.NewMaster(), seal.NewMaster()
	keys, err := wire.ParseGateKeys(gateSecret)
	if err != nil {
		t.Fatal(err)
	}
	alone := file(t, "master", master.Text()+"\n", 0o600)
	two := file(t, "masters", master.Text()+"\n"+older.Text()+"\n", 0o600)
	gate := file(t, "gate", gateSecret+"\n"+strings.ToUpper(gateSecret)+"\n", 0o600)
	both := "gate " + gateSecret + "\nmaster " + master.Text() + "\nmaster " + older.Text() + "\n"
	for name, c := range map[string]struct {
		secretFile, gateFile, stdin string
		want                        seal.Master
		wrong                       string
	}{
		"a file":               {alone, "", "", master, ""},
		"of several the first": {two, gate, "", master.WithGate(keys[0]), ""},
		"a pipe":               {"-", "", master.Text(), master, ""},
		"a pipe with both":     {"-", "", both, master.WithGate(keys[0]), ""},
		"a gate by pipe":       {alone, "-", gateSecret, master.WithGate(keys[0]), ""},
		"an empty pipe":        {"-", "", "", seal.Master{}, "culvert link secret"},
		"a gate alone":         {"-", "", "gate " + gateSecret, seal.Master{}, "culvert link secret"},
		"two gates":            {"-", gate, both, seal.Master{}, "which one"},
		"a bad gate":           {alone, alone, "", seal.Master{}, "not a gate secret"},
		"no gate file":         {alone, gate + "x", "", seal.Master{}, "no such file"},
	} {
		got, err := readSecrets(c.secretFile, c.gateFile, strings.NewReader(c.stdin))
		if got != c.want || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: got %v, want another secret or %q", name, err, c.wrong)
		}
	}
}
