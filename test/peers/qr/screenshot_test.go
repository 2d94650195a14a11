package qr

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScreenshotsShowTheirCodes reads pictures of pages that a browser has drawn, as a phone would that is held before
// the screen. CULVERT_SCREENSHOTS is their folder: NAME.png is to show the code of NAME.code.
func TestScreenshotsShowTheirCodes(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("CULVERT_SCREENSHOTS")
	if folder == "" {
		t.Skip("no screenshots; .ci/pages makes some")
	}
	all, err := filepath.Glob(filepath.Join(folder, "*.png"))
	if err != nil || len(all) == 0 {
		t.Fatalf("got %v, %v; want screenshots", all, err)
	}
	for _, name := range all {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(name, ".png") + ".code")
		if err != nil {
			t.Fatal(err)
		}
		if got := scan(t, img); got != strings.TrimSpace(string(want)) {
			t.Errorf("%s: got the code %q, want %q", filepath.Base(name), got, want)
		}
	}
}
