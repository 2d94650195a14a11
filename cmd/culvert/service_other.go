//go:build !windows

package main

// runAsService does nothing where a service is a program like any other.
func runAsService() bool { return false }
