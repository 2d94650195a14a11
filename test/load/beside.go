package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"culvert/test/plot"
)

// beside compares Culvert with a plain TLS copy: the two take turns, so that both meet the moods of a machine, and what
// is ours shows in the ratios on anybody's.
type beside struct {
	relays
	window time.Duration
	times  int
	values map[figure]map[string][]float64 // by relay, one each time
	why    map[string]string               // of figures that a relay has not
}

// figure is what is measured, and where on its scale.
type figure struct{ what, at string }

// The scales.
var (
	streamCounts = []int{1, 4, 16, 64}
	bulkCounts   = []int{0, 1, 4, 16}
	heldCounts   = []int{250, 1000, 2000}
	trips        = []int{0, 50, 100, 150} // milliseconds
)

func runBeside(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load beside", flag.ContinueOnError)
	programs := f.String("programs", "bin", "`FOLDER` with culvert and origin, built for this machine")
	document := f.String("document", "", "`FILE` in which the tables replace those of the last time; the pictures go to a folder beside it. Empty: print the tables")
	b := &beside{values: map[figure]map[string][]float64{}, why: map[string]string{}}
	f.DurationVar(&b.window, "window", time.Second, "how long to measure each rate and each delay")
	f.IntVar(&b.times, "times", 3, "how often to measure each; the medians count")
	if err := f.Parse(args); err != nil {
		return err
	}
	if b.window <= 0 || b.times < 1 {
		return errors.New("-window and -times are above 0")
	}
	if err := checkDocument(*document); err != nil {
		return err
	}
	return withProgramsIn(*programs, func(g *gateway) error {
		b.gateway = g
		if err := b.run(ctx); err != nil {
			return err
		}
		if *document == "" {
			return b.tables(os.Stdout)
		}
		return b.write(*document)
	})
}

func (b *beside) run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.to, err = newFarEnd(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{b.rates, b.memory, b.deaths} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (b *beside) add(what string, at any, name string, value float64) {
	key := figure{what, fmt.Sprint(at)}
	if b.values[key] == nil {
		b.values[key] = map[string][]float64{}
	}
	b.values[key][name] = append(b.values[key][name], value)
}

// turns calls measure for each relay, as often as is asked for, in this order and then the other way round.
func (b *beside) turns(ctx context.Context, all []*relay, measure func(*relay) error) error {
	for range b.times {
		for _, r := range all {
			if err := errors.Join(measure(r), ctx.Err()); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		slices.Reverse(all)
	}
	return nil
}

// startAll starts each relay.
func (b *beside) startAll(ctx context.Context, trip time.Duration) (all []*relay, end func(), err error) {
	end = func() {
		for _, r := range all {
			r.end()
		}
	}
	for _, name := range names {
		r, err := b.start(ctx, name, trip)
		if err != nil {
			return all, end, err
		}
		all = append(all, r)
	}
	return all, end, nil
}

// without is for a relay that has no path.
const without = -1

// rates measures how fast bytes and connections go, and what they cost.
func (b *beside) rates(ctx context.Context) error {
	all, end, err := b.startAll(ctx, without)
	defer end()
	if err != nil {
		return err
	}
	return b.turns(ctx, all, func(r *relay) error {
		return errors.Join(b.speeds(r), b.delays(r), b.connections(r))
	})
}

func (b *beside) speeds(r *relay) error {
	for _, n := range streamCounts {
		for _, way := range []string{"up", "down"} {
			rate, cpu, err := speed(r, b.to, n, way == "up", b.window)
			if err != nil {
				return err
			}
			b.add("MB/s "+way, n, r.name, rate)
			b.add("CPU s/GB "+way, n, r.name, cpu)
		}
	}
	return nil
}

func (b *beside) delays(r *relay) error {
	took, cpu, err := chat(r, b.window, 0)
	if err != nil {
		return err
	}
	b.add("µs", "", r.name, part(took, 50))
	b.add("µs CPU", "", r.name, cpu)
	for _, n := range bulkCounts {
		half, p99, err := chatBeside(r, b.to, n, b.window)
		if err != nil {
			return err
		}
		b.add("ms half", n, r.name, half)
		b.add("ms p99", n, r.name, p99)
	}
	return nil
}

func (b *beside) connections(r *relay) error {
	rate, cpu, err := connections(r, b.window)
	b.add("conn/s", "", r.name, rate)
	b.add("conn ms CPU", "", r.name, cpu)
	return err
}

// memory measures it once: it moves little.
func (b *beside) memory(ctx context.Context) error {
	all, end, err := b.startAll(ctx, without)
	defer end()
	if err != nil {
		return err
	}
	for _, r := range all {
		kib, err := held(r, heldCounts)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		for i, n := range heldCounts {
			b.add("KiB", n, r.name, kib[i])
		}
	}
	return ctx.Err()
}

// deaths measures how long a download stands still when its connections are cut.
func (b *beside) deaths(ctx context.Context) error {
	for _, trip := range trips {
		all, end, err := b.startAll(ctx, time.Duration(trip)*time.Millisecond)
		if err == nil {
			err = b.deathsOf(all, trip)
		}
		end()
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

func (b *beside) deathsOf(all []*relay, trip int) error {
	for _, r := range all {
		ms, err := stands(r)
		switch {
		case err == nil:
			b.add("ms stands", trip, r.name, ms)
		case r.cut || !errors.Is(err, errEnds):
			return fmt.Errorf("%s: %w", r.name, err)
		default:
			b.why[r.name] = "ends"
		}
	}
	return nil
}

// of is the median of a relay's values; NaN: it has none.
func (b *beside) of(what string, at any, name string) float64 {
	return median(b.values[figure{what, fmt.Sprint(at)}][name])
}

// ratio is the median of what ours is of the copy's, measured one after the other.
func (b *beside) ratio(what string, at any) float64 {
	v := b.values[figure{what, fmt.Sprint(at)}]
	ours, copies := v[names[0]], v[names[len(names)-1]]
	var all []float64
	for i := range min(len(ours), len(copies)) {
		all = append(all, ours[i]/copies[i])
	}
	return median(all)
}

// row is a line of the table.
type row struct {
	says, what string
	at         any
}

func (b *beside) rows() []row {
	most := bulkCounts[len(bulkCounts)-2]
	rows := []row{
		{"one stream up, MB/s", "MB/s up", 1}, {"one stream down, MB/s", "MB/s down", 1},
		{"CPU of both ends up, s/GB", "CPU s/GB up", 1}, {"CPU of both ends down, s/GB", "CPU s/GB down", 1},
		{"64 streams up, MB/s", "MB/s up", 64}, {"64 streams down, MB/s", "MB/s down", 64},
		{"CPU of both ends with 64 up, s/GB", "CPU s/GB up", 64}, {"CPU of both ends with 64 down, s/GB", "CPU s/GB down", 64},
		{"64 bytes and back, half within µs", "µs", ""}, {"CPU of both ends for that, µs", "µs CPU", ""},
		{"connections a second, 16 at once", "conn/s", ""}, {"CPU of both ends for one, ms", "conn ms CPU", ""},
		{fmt.Sprintf("chat beside %d downloads, 99 of 100 within ms", most), "ms p99", most},
	}
	for _, n := range heldCounts {
		rows = append(rows, row{fmt.Sprintf("memory of both ends for one of %d connections at rest, KiB", n), "KiB", n})
	}
	for _, trip := range trips {
		rows = append(rows, row{fmt.Sprintf("a download stands still when its connections are reset, round trip %d ms, ms", trip), "ms stands", trip})
	}
	return rows
}

// tables writes what was measured as a table of Markdown.
func (b *beside) tables(w io.Writer) error {
	var t strings.Builder
	fmt.Fprintf(&t, "%d processors, %s, %s; each %d times, by turns.\n\n", runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.DateOnly), b.times)
	fmt.Fprintf(&t, "| | %s | ratio |\n| --- |%s --- |\n", strings.Join(names, " | "), strings.Repeat(" --- |", len(names)))
	for _, r := range b.rows() {
		fmt.Fprintf(&t, "| %s |", r.says)
		for _, name := range names {
			fmt.Fprintf(&t, " %s |", b.cell(b.of(r.what, r.at, name), name))
		}
		fmt.Fprintf(&t, " %s |\n", b.cell(b.ratio(r.what, r.at), ""))
	}
	_, err := io.WriteString(w, t.String())
	return err
}

func (b *beside) cell(v float64, name string) string {
	if math.IsNaN(v) {
		return b.why[name]
	}
	return figures(v)
}

// pictures are drawn into a folder beside the document, by these names.
func (b *beside) pictures() map[string]plot.Picture {
	return map[string]plot.Picture{
		"streams": b.picture("Speed against streams", "streams at once", "MB/s", streamCounts, names, "MB/s up", "MB/s down"),
		"latency": b.picture("Chat beside downloads", "downloads at once", "ms for 64 bytes and back", bulkCounts, names, "ms half", "ms p99"),
		"memory":  b.picture("Memory of connections at rest", "connections", "KiB of both ends for one", heldCounts, names, "KiB"),
		"death": b.picture("A download whose connections are reset: Culvert goes on", "round trip, ms", "ms that it stands still",
			trips, names[:1], "ms stands"),
	}
}

func (b *beside) picture(title, across, up string, at []int, of []string, whats ...string) plot.Picture {
	p := plot.Picture{Title: title, Across: across, Up: up}
	for _, place := range at {
		p.Places = append(p.Places, fmt.Sprint(place))
	}
	for _, name := range of {
		for _, what := range whats {
			s := plot.Series{Name: name}
			if len(whats) > 1 {
				_, kind, _ := strings.Cut(what, " ")
				s.Name += ", " + kind
			}
			for _, place := range at {
				s.Values = append(s.Values, b.of(what, place, name))
			}
			p.Series = append(p.Series, s)
		}
	}
	return p
}

// The lines between which a document holds the tables.
const beginTables, endTables = "<!-- make plots writes what follows -->\n", "<!-- until here -->\n"

// checkDocument reports whether a document has a place for the tables, before minutes are spent on them.
func checkDocument(name string) error {
	if name == "" {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	_, err = replaceTables(string(text), "")
	return err
}

func replaceTables(text, tables string) (string, error) {
	before, rest, begins := strings.Cut(text, beginTables)
	_, after, ends := strings.Cut(rest, endTables)
	if !begins || !ends {
		return "", fmt.Errorf("the document has no place for tables: put the lines %q and %q into it", strings.TrimSpace(beginTables), strings.TrimSpace(endTables))
	}
	return before + beginTables + tables + endTables + after, nil
}

// write puts the tables into a document, and draws its pictures.
func (b *beside) write(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var t strings.Builder
	if err := b.tables(&t); err != nil {
		return err
	}
	changed, err := replaceTables(string(text), t.String())
	if err != nil {
		return err
	}
	folder := filepath.Join(filepath.Dir(name), "plots")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for file, p := range b.pictures() {
		var svg strings.Builder
		if err := p.Write(&svg); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, file+".svg"), []byte(svg.String()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(name, []byte(changed), 0o644)
}
