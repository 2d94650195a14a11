package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors")

func examples() []Frame {
	return []Frame{
		{Kind: Open, Tunnel: 1, Body: []byte{1, 0, 'h', 'i'}},
		{Kind: Data, Tunnel: 2, Pos: 3, Body: []byte("bytes")},
		{Kind: Fin, Tunnel: 2, Pos: MaxPos - 1},
		{Kind: Ack, Tunnel: 2, Pos: 8, Num: 1 << 19},
		{Kind: Use, Tunnel: 2, Num: 7, Code: Alone | Lost},
		{Kind: Reset, Tunnel: 1<<32 - 1, Code: 6},
		{Kind: Ping, Pos: 1<<64 - 1},
		{Kind: Pong, Pos: 9},
		{Kind: Leave},
		{Kind: Received, Pos: 4096, Clock: 1e6},
		{Kind: Again, Body: bytes.Repeat([]byte{1}, againLen)},
		{Kind: Answer, Body: bytes.Repeat([]byte{2}, answerLen)},
		{Kind: Got, Num: 5},
		{Kind: Path, Code: 3, Num: LeastBudget},
		{Kind: Known, Num: 1 << 31},
		{Kind: Fronts, Body: []byte("list")},
		{Kind: Bound, Body: bytes.Repeat([]byte{3}, BoundLen)},
		{Kind: Bare},
		{Kind: Pad, Body: []byte{0, 0}},
	}
}

func TestARecordOfAllFramesIsReadAgain(t *testing.T) {
	t.Parallel()
	var b []byte
	for _, f := range examples() {
		b = f.Append(b)
	}
	for _, want := range examples() {
		var got Frame
		var err error
		if got, b, err = NextFrame(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v %v, want %+v", got, err, want)
		}
	}
	if len(b) > 0 {
		t.Errorf("%x is left", b)
	}
}

func TestFramesAreTheVectors(t *testing.T) {
	t.Parallel()
	const file = "testdata/frames.json"
	var got []string
	for _, f := range examples() {
		got = append(got, hex.EncodeToString(f.Append(nil)))
	}
	b, _ := json.MarshalIndent(got, "", "\t")
	if *update {
		os.WriteFile(file, append(b, '\n'), 0o644)
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != string(b)+"\n" {
		t.Errorf("the frames are not those of %s (%v)", file, err)
	}
}

func TestFramesAreRefused(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"nothing":        {},
		"no such kind":   {byte(kinds)},
		"tunnel 0":       {byte(Fin), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"position 2^62":  {byte(Fin), 0, 0, 0, 1, 0x40, 0, 0, 0, 0, 0, 0, 0},
		"ack 2^62":       {byte(Ack), 0, 0, 0, 1, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"reason 0":       {byte(Reset), 0, 0, 0, 1, 0},
		"how 4":          {byte(Use), 0, 0, 0, 1, 0, 0, 0, 1, 4},
		"no fronts":      {byte(Fronts), 0, 0},
		"cut fronts":     {byte(Fronts), 0, 2, 1},
		"long fronts":    append([]byte{byte(Fronts), (MaxFronts + 1) >> 8, (MaxFronts + 1) & 255}, make([]byte, MaxFronts+1)...),
		"path 16":        {byte(Path), 16, 0, 0, 0, 0},
		"budget 2047":    {byte(Path), 1, 0, 0, 7, 255},
		"empty data":     {byte(Data), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"beyond the end": {byte(Data), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2},
	} {
		if _, _, err := NextFrame(b); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, f := range examples() {
		whole := f.Append(nil)
		for n := range len(whole) {
			if _, _, err := NextFrame(whole[:n]); err == nil && f.Kind != Pad {
				t.Errorf("%x is a frame", whole[:n])
			}
		}
	}
}

// What NextFrame accepts, Append writes back: a frame has one spelling.
func FuzzFrame(f *testing.F) {
	for _, x := range examples() {
		f.Add(x.Append(nil))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if x, more, err := NextFrame(in); err == nil && !bytes.Equal(append(x.Append(nil), more...), in) {
			t.Errorf("put back %x, want %x", x.Append(nil), in)
		}
	})
}

func TestEarlyRecordsHoldOpensAlone(t *testing.T) {
	t.Parallel()
	for _, f := range examples() {
		if want := f.Kind == Open || f.Kind == Pad; f.Early() != want {
			t.Errorf("%v: got %v", f.Kind, f.Early())
		}
	}
}

func TestFramesOfATransferCostNoAllocation(t *testing.T) {
	data, ack := Frame{Kind: Data, Tunnel: 2, Pos: 3, Body: make([]byte, 1400)}, Frame{Kind: Ack, Tunnel: 2, Pos: 3, Num: 9}
	buf := make([]byte, 0, 2000)
	if n := testing.AllocsPerRun(100, func() {
		for b := ack.Append(data.Append(buf)); len(b) > 0; {
			_, b, _ = NextFrame(b)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkDataFrame(b *testing.B) {
	f := Frame{Kind: Data, Tunnel: 2, Pos: 3, Body: make([]byte, 1400)}
	buf := make([]byte, 0, 2000)
	b.ReportAllocs()
	for b.Loop() {
		buf = f.Append(buf[:0])
		if _, _, err := NextFrame(buf); err != nil {
			b.Fatal(err)
		}
	}
}
