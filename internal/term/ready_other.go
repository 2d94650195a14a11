//go:build !unix

package term

const readsEnd = false

func isReady(int) bool { return true }
