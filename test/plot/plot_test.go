package plot

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
)

// drawn is what of a picture tests look at.
type drawn struct {
	Circles []struct {
		X float64 `xml:"cx,attr"`
		Y float64 `xml:"cy,attr"`
	} `xml:"circle"`
	Lines []struct {
		Points string `xml:"points,attr"`
	} `xml:"polyline"`
	Texts []struct {
		X    float64 `xml:"x,attr"`
		Y    float64 `xml:"y,attr"`
		Text string  `xml:",chardata"`
	} `xml:"text"`
}

func draw(t *testing.T, p Picture) (d drawn) {
	t.Helper()
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(b.String()), &d); err != nil {
		t.Fatalf("no XML: %v\n%s", err, b.String())
	}
	return d
}

// Every value is drawn where it belongs, inside of the picture, whatever the values are.
func TestAPictureShowsEachValue(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, c := range map[string]struct {
		values [][]float64
		points int
	}{
		"two series":           {[][]float64{{1, 2, 3}, {3000, 2, 0.1}}, 6},
		"one that has a gap":   {[][]float64{{1, nan, 3}}, 2},
		"nothing but zeros":    {[][]float64{{0, 0, 0}}, 3},
		"nothing was measured": {[][]float64{{nan, nan, nan}}, 0},
	} {
		p := Picture{Title: `a "title" & <more>`, Places: []string{"1", "4", "16"}}
		for _, v := range c.values {
			p.Series = append(p.Series, Series{"series", v})
		}
		d := draw(t, p)
		if len(d.Circles) != c.points || len(d.Lines) != len(c.values) {
			t.Errorf("%s: got %d points in %d lines, want %d in %d", name, len(d.Circles), len(d.Lines), c.points, len(c.values))
		}
		for _, at := range d.Circles {
			if at.X < left || at.X > width-right || at.Y < top || at.Y > height-bottom {
				t.Errorf("%s: a point at %v is outside", name, at)
			}
		}
	}
}

func TestHigherIsMoreAndTheMarksAreRound(t *testing.T) {
	t.Parallel()
	d := draw(t, Picture{Places: []string{"a", "b"}, Series: []Series{{"s", []float64{370, 90}}}})
	if d.Circles[0].Y >= d.Circles[1].Y || d.Circles[0].X >= d.Circles[1].X {
		t.Errorf("got 370 at %v and 90 at %v, want the first higher and to the left", d.Circles[0], d.Circles[1])
	}
	var marks []string
	for _, text := range d.Texts {
		if text.X == left-6 {
			marks = append(marks, text.Text)
		}
	}
	if got := strings.Join(marks, " "); got != "0 100 200 300 400" {
		t.Errorf("got marks %s, want 0 to 400", got)
	}
}

// The names of series that end at one place are legible.
func TestNamesDoNotLieUponOneAnother(t *testing.T) {
	t.Parallel()
	same := []float64{1, 1}
	d := draw(t, Picture{Places: []string{"a", "b"}, Series: []Series{{"one", same}, {"two", same}, {"three", same}}})
	at := map[float64]string{}
	for _, text := range d.Texts {
		if text.X == width-right+10 {
			if other := at[text.Y]; other != "" {
				t.Errorf("%s lies upon %s", text.Text, other)
			}
			at[text.Y] = text.Text
		}
	}
	if len(at) != 3 {
		t.Errorf("got %d names, want 3", len(at))
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWhatTakesNoPictureIsTold(t *testing.T) {
	t.Parallel()
	if err := (&Picture{Places: []string{"a"}, Series: []Series{{"s", []float64{1}}}}).Write(full{}); err == nil {
		t.Error("got no error of a full disk")
	}
}

func TestThousandsHaveNoExponent(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0.25: "0.25", 500: "500", 1000: "1000", 1500: "1500"} {
		if got := short(v); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
