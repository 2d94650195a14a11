package infra

import (
	"os"
	"regexp"
	"testing"
	"time"
)

// spare is how much longer a service may take to end than it serves what it holds: at the end of that it tells its
// clients what it cuts.
const spare = 10 * time.Second

// A service that systemd kills before its drain is over cuts its clients without a word. The drains are those
// that the programs have by default, and those that a release has which is replaced.
func TestServicesMayTakeLongerToEndThanTheyDrain(t *testing.T) {
	t.Parallel()
	origin, edge := named("../cmd/origin/config.go", `"CULVERT_DRAIN" envDefault:"(.*?)"`), named("../cmd/edge/config.go", `"CULVERT_DRAIN" envDefault:"(.*?)"`)
	limit := `(?m)TimeoutStopSec=(\d+(?:min)?)(?:$|\\n)`
	for _, c := range []struct{ limit, drain number }{
		{named("package/systemd/culvert-origin.service", limit), origin},
		{named("package/systemd/culvert-edge.service", limit), edge},
		{named("../cmd/origin/internal/setup/culvert-origin@.service", limit), origin},
		{named("../cmd/origin/internal/setup/update.go", `const leaving = (\d+) \* time\.Minute`).in("m"),
			named("../cmd/origin/internal/setup/check.go", `"CULVERT_DRAIN", "(.*?)"`)},
		{named("host/culvert-origin@.service", limit), origin},
		{named("host/retire", limit), named("host/update", `(?m)^CULVERT_DRAIN=(.*)$`)},
	} {
		if limit, drain := c.limit.read(t), c.drain.read(t); limit < drain+spare {
			t.Errorf("%s: got %v, want %v more than the %v of %s", c.limit.file, limit, spare, drain, c.drain.file)
		}
	}
}

// number is a duration in a file, at the first group of a pattern.
type number struct {
	file, pattern string
	unit          string // where the file gives none
}

func named(file, pattern string) number { return number{file, pattern, ""} }

func (n number) in(unit string) number { n.unit = unit; return n }

func (n number) read(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(n.file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(n.pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s: nothing like %s", n.file, n.pattern)
	}
	value := regexp.MustCompile(`min$`).ReplaceAllString(string(found[1]), "m") + n.unit
	if regexp.MustCompile(`^\d+$`).MatchString(value) {
		value += "s" // as systemd takes it
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Fatalf("%s: %v", n.file, err)
	}
	return d
}
