//go:build !linux

package relay

// gone is not known here: see gone_linux.go.
func (r *raw) gone() bool { return false }
