package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/test/ports"
)

// copied is a connection by two ends of runCopy, and a path between, to a farEnd.
func copied(t *testing.T, trip time.Duration, what byte) (net.Conn, *path) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	g, err := newGateway("", dir)
	if err != nil {
		t.Fatal(err)
	}
	to, err := newFarEnd(ctx)
	if err != nil {
		t.Fatal(err)
	}
	far, near := ports.Loopback(), ports.Loopback()
	p, err := newPath("127.0.0.1:0", far, trip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); p.close() })
	go runCopy(ctx, []string{"-listen", far, "-dial", to.at(), "-cert", g.file("cert.pem"), "-key", g.file("key.pem")})
	go runCopy(ctx, []string{"-listen", near, "-dial", p.ln.Addr().String()})
	r := &relay{name: "copy", at: near, path: p}
	if err := r.isReady(); err != nil {
		t.Fatal(err)
	}
	c, err := r.open(what)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, p
}

// What is measured beside ours carries every byte, and half-closes, over a path without a delay and with one.
func TestTheCopyCarriesBytesAndEnds(t *testing.T) {
	t.Parallel()
	for _, trip := range []time.Duration{0, 30 * time.Millisecond} {
		c, _ := copied(t, trip, toEcho)
		began := time.Now()
		sent := bytes.Repeat([]byte("culvert "), 20_000)
		go func() {
			c.Write(sent)
			c.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("round trip %v: got %d bytes and %v, want those that were sent", trip, len(got), err)
		}
		if took := time.Since(began); took < trip {
			t.Errorf("got all back after %v, want a round trip of %v at least", took, trip)
		}
	}
}

func TestACutEndsWhatTheCopyCarries(t *testing.T) {
	t.Parallel()
	c, p := copied(t, time.Millisecond, toSource)
	if _, err := io.ReadFull(c, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	p.cut()
	if _, err := io.Copy(io.Discard, c); os.IsTimeout(err) {
		t.Error("the stream goes on when its path was cut")
	}
}

// The table has a line for each figure, the copy's "ends" for what only ours outlives, and ratios of pairs.
func TestTheTablesReplaceThoseOfTheLastTime(t *testing.T) {
	t.Parallel()
	b := &beside{times: 3, values: map[figure]map[string][]float64{}, why: map[string]string{names[1]: "ends"}}
	for i, ours := range []float64{100, 300, 40} {
		b.add("MB/s up", 1, names[0], ours)
		b.add("MB/s up", 1, names[1], []float64{200, 200, 20}[i])
	}
	b.add("ms stands", 0, names[0], 12.5)
	dir := t.TempDir()
	name := filepath.Join(dir, "doc.md")
	os.WriteFile(name, []byte("# Before\n"+beginTables+"old\n"+endTables+"after\n"), 0o600)
	for range 2 {
		if err := b.write(name); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := os.ReadFile(name)
	for _, want := range []string{"# Before\n" + beginTables, endTables + "after\n", "| one stream up, MB/s | 100 | 200 | 1.5 |",
		"round trip 0 ms, ms | 12.5 | ends |  |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("got\n%s\nwant %q in it", text, want)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the last tables are left")
	}
	for file := range b.pictures() {
		if _, err := os.Stat(filepath.Join(dir, "plots", file+".svg")); err != nil {
			t.Error(err)
		}
	}
}

func TestADocumentWithoutAPlaceIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "doc.md")
	os.WriteFile(name, []byte("# Nothing\n"), 0o600)
	for _, args := range [][]string{{"-document", name}, {"-document", name + ".none"}, {"-times", "0"}, {"-window", "-1s"}} {
		if err := runBeside(t.Context(), args); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
	if err := checkDocument(name); err == nil || !strings.Contains(err.Error(), "make plots") {
		t.Errorf("got %v, want the lines that are missing", err)
	}
}

func TestPartsAndMedians(t *testing.T) {
	t.Parallel()
	sorted := []float64{1, 2, 3, 4}
	for hundredths, want := range map[int]float64{1: 1, 50: 2, 75: 3, 99: 4, 100: 4} {
		if got := part(sorted, hundredths); got != want {
			t.Errorf("%d of 100: got %v, want %v", hundredths, got, want)
		}
	}
	for _, c := range []struct {
		all  []float64
		want float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}, {[]float64{math.NaN(), 7}, 7}} {
		if got := median(c.all); got != c.want {
			t.Errorf("of %v: got %v, want %v", c.all, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) || !math.IsNaN(part(nil, 99)) {
		t.Error("got a value of nothing")
	}
}
