//go:build darwin || android

package main

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// languageLimit is for a program that only looks something up.
const languageLimit = time.Second

// systemLanguages are those that the user has chosen for all apps, the preferred first. There is no file of them, and no
// function without cgo: a program of the system's says it.
func systemLanguages() []string {
	ask := []string{"/usr/bin/defaults", "read", "-g", "AppleLanguages"}
	if runtime.GOOS == "android" {
		ask = []string{"/system/bin/getprop", "persist.sys.locale"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), languageLimit)
	defer cancel()
	said, _ := exec.CommandContext(ctx, ask[0], ask[1:]...).Output()
	return strings.FieldsFunc(string(said), func(r rune) bool { return strings.ContainsRune("()\", \n", r) })
}
