package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatCannotBeMadeIsRefusedBeforeAnythingIs(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for args, want := range map[string]string{
		"-version v1.2.0":                            "say where",
		"-version 1.2.0 " + empty:                    "no version",
		"-version v1.2 " + empty:                     "no version",
		"-version v01.2.3 " + empty:                  "no version",
		"-version v1.2.0;x " + empty:                 "no version",
		"-version v1.2.0 " + full:                    "holds files",
		"-version v1.2.0 -only linux/z80 " + empty:   "no part",
		"-version v1.2.0 -only linux/386, " + empty:  "no part",
		"-version v1.2.0 -key /none/key " + empty:    "no such file",
		"-version v1.2.0 " + empty:                   "",
		"-version v1.2.0-rc.1 -only images " + empty: "",
	} {
		_, err := read(strings.Fields(args))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

// Two packages of one name would be one file.
func TestNoTwoPackagesHaveOneName(t *testing.T) {
	t.Parallel()
	seen := map[kind]string{}
	for _, s := range systems {
		for _, k := range s.kinds() {
			if by, again := seen[k]; again {
				t.Errorf("%s and %s: both have a %s for %s", by, s.name, k.packager, k.arch)
			}
			seen[k] = s.name
		}
		if joined := strings.Join(s.env, " "); strings.Contains(joined, "GOARCH=mips") != strings.Contains(joined, "GOMIPS=softfloat") {
			t.Errorf("%s: got %s, want no floating point where routers have none", s.name, joined)
		}
	}
}

func TestTheSameFilesAreTheSameArchive(t *testing.T) {
	t.Parallel()
	folder, at := t.TempDir(), time.Unix(1_800_000_000, 0).UTC()
	from := filepath.Join(folder, "from")
	var first [2][]byte
	for round := range 2 {
		if err := os.WriteFile(from, []byte("content"), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(from, time.Now(), time.Unix(int64(round), 0)); err != nil {
			t.Fatal(err)
		}
		for i, write := range []func(string, time.Time, []file) error{writeTar, writeZip} {
			out := filepath.Join(folder, "out")
			if err := write(out, at, []file{{"a/b", from, 0o755}}); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if round == 1 && !bytes.Equal(data, first[i]) {
				t.Errorf("archive %d: got other bytes of the same files", i)
			}
			first[i] = data
		}
	}
}

func TestChecksumsAndSignatureAreReadByOthersPrograms(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"ssh-keygen", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	folder, keys := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "culvert"), []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(keys, "key")
	if _, err := output("", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key); err != nil {
		t.Fatal(err)
	}
	if err := sum(folder); err != nil {
		t.Fatal(err)
	}
	if err := sign(filepath.Join(folder, sums), key); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	signers := filepath.Join(keys, "signers")
	if err := os.WriteFile(signers, append([]byte("culvert "), public...), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func() error {
		list, err := os.Open(filepath.Join(folder, sums))
		if err != nil {
			return err
		}
		defer list.Close()
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", signers, "-I", "culvert", "-n", namespace, "-s", sums+".sig")
		cmd.Stdin = list
		_, err = run(cmd, folder)
		return err
	}
	if err := verify(); err != nil {
		t.Error(err)
	}
	if _, err := output(folder, "sha256sum", "--check", "--strict", sums); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(folder, sums), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if verify() == nil {
		t.Error("got another list verified, want it refused")
	}
}

func TestTheClientIsBuiltAsTheMakefileBuildsIt(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("make", "--no-print-directory", "--dry-run", "client", "OUT=folder/")
	cmd.Dir = "../.."
	got, err := cmd.Output()
	want := slices.Concat(strings.Fields("CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags '-s -w'"), clientFlags(), []string{"-o", "'folder/'", "./cmd/culvert"})
	if err != nil || !slices.Equal(strings.Fields(string(got)), want) {
		t.Errorf("got %s and %v, want %q", got, err, want)
	}
}
