// Package plot draws a few measured series as one SVG picture that a document can show. A picture has a white
// ground of its own, so that it is read on dark pages, too; each series has a colour, a dash and its name at its end.
package plot

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Picture is what was measured of several things at the same places.
type Picture struct {
	Title  string
	Across string   // what Places are
	Up     string   // what values are, with their unit
	Places []string // from left to right, evenly spread
	Series []Series
}

// Series is one thing's values, one for each place. NaN leaves a place out.
type Series struct {
	Name   string
	Values []float64
}

// The picture's measures, in pixels of SVG.
const (
	width, height            = 640, 320
	left, right, top, bottom = 64, 150, 40, 48
	steps                    = 4 // between zero and the highest mark
)

// strokes tell the series apart, also where colours are not seen.
var strokes = []struct{ colour, dash string }{
	{"#0b62a4", ""}, {"#b0501e", "6 3"}, {"#2a7d4f", "2 3"}, {"#6a4c93", "9 3 2 3"},
}

// Write draws the picture.
func (p *Picture) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", escape(p.Title), width, height)
	text(&b, left, 20, "start", "bold", p.Title)
	text(&b, left, top-6, "start", "normal", p.Up)
	text(&b, left+(width-left-right)/2, height-8, "middle", "normal", p.Across)
	most := p.most()
	for i := range steps + 1 {
		value := most * float64(i) / steps
		y := p.y(value, most)
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", left, y, width-right)
		text(&b, left-6, y+4, "end", "normal", short(value))
	}
	for i, place := range p.Places {
		text(&b, p.x(i), height-bottom+18, "middle", "normal", place)
	}
	p.lines(&b, most)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// lines draws the series, and their names from the highest end to the lowest without one upon another.
func (p *Picture) lines(b *strings.Builder, most float64) {
	names := map[int]bool{}
	for i, s := range p.Series {
		stroke := strokes[i%len(strokes)]
		var points []string
		end := 0.0
		for at, v := range s.Values {
			if math.IsNaN(v) {
				continue
			}
			end = p.y(v, most)
			points = append(points, fmt.Sprintf("%.1f,%.1f", p.x(at), end))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", p.x(at), end, stroke.colour)
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`+"\n", strings.Join(points, " "), stroke.colour, stroke.dash)
		row := int(end / lineHeight)
		for names[row] {
			row++
		}
		names[row] = true
		fmt.Fprintf(b, `<text x="%d" y="%.1f" fill="%s">%s</text>`+"\n", width-right+10, float64(row)*lineHeight+lineHeight/2, stroke.colour, escape(s.Name))
	}
}

const lineHeight = 15.0

// x is where a place is. One place alone is in the middle.
func (p *Picture) x(place int) float64 {
	const inner = width - left - right
	if len(p.Places) == 1 {
		return left + inner/2
	}
	return left + inner*float64(place)/float64(len(p.Places)-1)
}

func (p *Picture) y(value, most float64) float64 {
	return height - bottom - value/most*(height-top-bottom)
}

// most is the least round number that no value exceeds.
func (p *Picture) most() float64 {
	highest := 0.0
	for _, s := range p.Series {
		for _, v := range s.Values {
			if v > highest {
				highest = v
			}
		}
	}
	if highest == 0 {
		return 1
	}
	ten := math.Pow(10, math.Floor(math.Log10(highest)))
	for _, m := range []float64{1, 2, 4, 6, 8, 10} {
		if m*ten >= highest {
			return m * ten
		}
	}
	return 10 * ten
}

func short(v float64) string {
	if v >= 1000 { // without an exponent
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func text(b *strings.Builder, x, y float64, anchor, weight, s string) {
	fmt.Fprintf(b, `<text x="%.0f" y="%.1f" text-anchor="%s" font-weight="%s" fill="#222">%s</text>`+"\n", x, y, anchor, weight, escape(s))
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder takes all
	return b.String()
}
