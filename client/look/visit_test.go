package look

import "testing"

// As in Chromium, a request depends on the newest open one whose weight is no less, and the least of those.
func TestARequestDependsOnTheNextMoreImportantOne(t *testing.T) {
	t.Parallel()
	chromium, firefox := all()[0], all()[1]
	asked := []*answerH2{{weight: 255, ended: true}, {weight: 255}, {weight: 219}, {weight: 219}, {weight: 146}}
	for weight, want := range map[uint8]uint32{255: 3, 219: 7, 182: 7, 146: 9, 100: 9} {
		if got := (&connH2{c: &Conn{look: chromium}, asked: asked}).after(weight); got != want {
			t.Errorf("%d: got stream %d, want %d", weight, got, want)
		}
		if got := (&connH2{c: &Conn{look: firefox}, asked: asked}).after(weight); got != 0 {
			t.Errorf("%d: got stream %d, want none by Firefox", weight, got)
		}
	}
	if got := (&connH2{c: &Conn{look: chromium}, asked: asked[:1]}).after(255); got != 0 {
		t.Errorf("got stream %d, want none that has ended", got)
	}
}
