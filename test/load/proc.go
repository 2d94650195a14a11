package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// pss is the memory of a process in KiB, its share of shared pages included.
func pss(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(b)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
}

// stat is what /proc says of a process; times are in seconds, which Linux
// counts in hundredths.
type stat struct {
	pid, parent int
	cpu         float64
	ended       float64 // CPU time of children that have ended
}

// readStat reads fields 4 and 14 to 17 of proc_pid_stat(5), counted from behind
// the name, which may hold spaces. A process that is gone has zeros.
func readStat(pid int) stat {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return stat{}
	}
	s := stat{pid: pid}
	fmt.Sscan(f[1], &s.parent)
	seconds := func(i int) float64 {
		var ticks float64
		fmt.Sscan(f[i], &ticks)
		return ticks / 100
	}
	s.cpu, s.ended = seconds(11)+seconds(12), seconds(13)+seconds(14)
	return s
}

// cpuSeconds is the CPU time of a process, without its children.
func cpuSeconds(pid int) float64 { return readStat(pid).cpu }

// childrenOf are the processes that pid has started and that are left.
func childrenOf(pid int) (all []stat) {
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		var child int
		fmt.Sscan(filepath.Base(name), &child)
		if s := readStat(child); s.parent == pid && s.pid != 0 {
			all = append(all, s)
		}
	}
	return all
}

// childSeconds is the CPU time of all children that pid ever had.
func childSeconds(pid int) float64 {
	sum := readStat(pid).ended
	for _, c := range childrenOf(pid) {
		sum += c.cpu
	}
	return sum
}
