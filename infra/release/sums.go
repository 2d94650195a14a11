package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
)

// sums is the file of all checksums, as sha256sum writes and reads them.
const sums = "SHA256SUMS"

// sum writes the checksums of all files of a folder.
func sum(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	return os.WriteFile(filepath.Join(folder, sums), out.Bytes(), 0o644)
}

// namespace keeps a signature of something else by the same key from being taken for one of a release.
const namespace = "culvert-release"

// sign writes a signature of OpenSSH's beside a file. Everybody has ssh-keygen, Windows included; the key may be
// on a token, or an agent may hold it.
func sign(name, key string) error {
	_, err := output("", "ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key, name)
	return err
}
