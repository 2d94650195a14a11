//go:build !windows && !darwin && !android

package main

// systemLanguages are none here: the environment says all.
func systemLanguages() []string { return nil }
