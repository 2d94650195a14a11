//go:build !unix

package netpoll

// maxDescriptors is not known on this system, which bounds handles by its memory alone.
func maxDescriptors() int { return 0 }

func lowestFree(int) int { return 0 }
