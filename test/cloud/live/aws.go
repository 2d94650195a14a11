//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// callAWS has preloaded.py run an aws command with our arguments, environment,
// folder and files, and ends as it does. The socket is beside this program.
func callAWS(args []string) error {
	environment := map[string]string{}
	for _, e := range os.Environ() {
		name, value, _ := strings.Cut(e, "=")
		environment[name] = value
	}
	folder, err := os.Getwd()
	if err != nil {
		return err
	}
	asked, err := json.Marshal(map[string]any{"arguments": args, "environment": environment, "folder": folder})
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	conn, err := net.Dial("unix", filepath.Join(filepath.Dir(program), "preloaded"))
	if err != nil {
		return err
	}
	files := syscall.UnixRights(0, 1, 2)
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(fmt.Appendf(nil, "%08d", len(asked)), files, nil); err != nil {
		return err
	}
	var code [1]byte
	_, err = conn.Write(asked)
	if _, err2 := conn.Read(code[:]); err != nil || err2 != nil {
		return errors.Join(err, err2)
	}
	os.Exit(int(code[0]))
	return nil
}
