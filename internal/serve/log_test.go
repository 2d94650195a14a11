package serve

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

type logged struct{ LogSettings }

func (*logged) Check() []SettingError { return nil }

func TestTheLogIsWrittenAsTheSettingSays(t *testing.T) {
	for format, isJSON := range map[string]bool{"": false, "text": false, "json": true} {
		t.Setenv("CULVERT_LOG", format)
		cfg := new(logged)
		if err := Load(someProgram, cfg, nil, nil); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		loggerOf(cfg, &out).Info("ready", "after", 3)
		var line struct {
			Msg   string
			After int
		}
		if got := json.Unmarshal(out.Bytes(), &line) == nil && line.Msg == "ready" && line.After == 3; got != isJSON {
			t.Errorf("%q: got %q", format, out.String())
		}
	}
	t.Setenv("CULVERT_LOG", "xml")
	if err := Load(someProgram, new(logged), nil, nil); err == nil || !strings.Contains(err.Error(), "CULVERT_LOG: is neither text nor json") {
		t.Errorf("got %v, want xml refused", err)
	}
}

func TestSettingsWithoutALogHaveText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	loggerOf(new(watched), &out).Info("ready")
	if !strings.Contains(out.String(), "level=INFO msg=ready") {
		t.Errorf("got %q, want text", out.String())
	}
}
