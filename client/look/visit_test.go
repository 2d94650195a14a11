package look

import (
	"bytes"
	"slices"
	"testing"

	utls "github.com/refraction-networking/utls"
)

// What a browser offers that takes too much memory is offered, and not taken.
func TestNoCertificateIsUnpackedByZstd(t *testing.T) {
	t.Parallel()
	const compressCertificate, zstd = 27, 3
	for _, l := range all() {
		_, captured := extensions(t, l.captured(Page))
		_, sent := extensions(t, played(t, l, Page, 1)[0])
		if !bytes.Equal(sent[compressCertificate], captured[compressCertificate]) {
			t.Errorf("%s: got %x offered, want %x", l.Name(), sent[compressCertificate], captured[compressCertificate])
		}
		s, err := l.spec(Page, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range s.Extensions {
			if c, ok := e.(*compression); ok && slices.Contains(c.Algorithms, utls.CertCompressionZstd) {
				t.Errorf("%s: zstd is taken", l.Name())
			}
		}
	}
	if _, bodies := extensions(t, all()[1].captured(Page)); !bytes.Contains(bodies[compressCertificate], []byte{0, zstd}) {
		t.Error("Firefox offers no zstd any more: compression is of no use then")
	}
}

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

// uTLS reads compressed certificates by an extension of its own type alone.
func TestCompressedCertificatesOfASocketAreRead(t *testing.T) {
	t.Parallel()
	for _, l := range all() {
		s, err := l.spec(Socket, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range s.Extensions {
			if _, ok := e.(*compression); ok {
				t.Errorf("%s: got an extension that uTLS does not know", l.Name())
			}
		}
	}
}
