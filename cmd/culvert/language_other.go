//go:build !windows

package main

// windowLanguages are none here: the environment says all.
func windowLanguages() []string { return nil }
