package e2e

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"culvert/internal/link"
	"culvert/internal/wire"
	"culvert/test/emulator"
)

// BenchmarkDoors times small messages of the app and their answers, one after
// another over a warm carrier with nothing delayed, which is what the doors add
// themselves. The goal is a median at the gateway door that is less than 2 ms
// above the stream door's.
func BenchmarkDoors(b *testing.B) {
	for _, door := range []struct {
		name  string
		front func(*world) link.Front
	}{
		{"stream", func(w *world) link.Front { return w.front(w.origin().addr) }},
		{"gateway", func(w *world) link.Front { return w.api(apiOptions{}).front(w) }},
		{"gateway-bootstraps", func(w *world) link.Front { return w.api(apiOptions{routes: w.processes()}).front(w) }},
	} {
		b.Run(door.name, func(b *testing.B) {
			w := newWorld(b)
			c := w.clientBy(1, door.front(w)).ready().chat()
			c.SetDeadline(time.Now().Add(patience))
			var trips []time.Duration
			for b.Loop() {
				trips = append(trips, c.trip(b))
			}
			slices.Sort(trips)
			b.ReportMetric(float64(trips[len(trips)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(trips[len(trips)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// trip is how long 64 bytes take to the server and back.
func (c chat) trip(b *testing.B) time.Duration {
	var msg [64]byte
	began := time.Now()
	_, err := c.Write(msg[:])
	must(b, err)
	_, err = io.ReadFull(c, msg[:])
	must(b, err)
	return time.Since(began)
}

// processes are the functions as they are built for Lambda, each instance a
// process of its own. They have a gate secret, which the world gets.
func (w *world) processes() functions {
	secret := rand.Text() + rand.Text() + rand.Text()[:12]
	keys, err := wire.ParseGateKeys(secret)
	must(w, err)
	w.master = w.master.WithGate(keys[0])
	dir := w.bootstraps()
	return func(origin string, s emulator.Settings) (emulator.Routes, func()) {
		s.Output = os.Stderr
		s.Env = map[string]string{"CULVERT_GATE": secret, "CULVERT_ORIGIN": "http://" + origin, "CULVERT_API": "local", "CULVERT_STAGE": "v1"}
		process := func(name string) *emulator.Process {
			s := s
			s.Name = name
			return emulator.NewProcess(filepath.Join(dir, name), s)
		}
		r := emulator.Routes{Connect: process("connect"), Default: process("message"), Disconnect: process("disconnect")}
		return r, func() {
			for _, f := range []emulator.Function{r.Connect, r.Default, r.Disconnect} {
				f.(*emulator.Process).Close()
			}
		}
	}
}

// bootstraps builds the functions into a folder of their own.
func (w *world) bootstraps() string {
	dir := w.TempDir()
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-o", dir,
		"culvert/functions/connect", "culvert/functions/message", "culvert/functions/disconnect")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		w.Fatalf("%v: %s", err, out)
	}
	return dir
}
