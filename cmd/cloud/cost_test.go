package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reckon runs "cloud cost".
func reckon(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = program(nil).Run(t.Context(), append([]string{"cost"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCostPrintsATable(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(filepath.Join("testdata", "cost.txt"))
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := reckon(t, "--users", "10000", "--edge", "middle-east-africa", "--gateway-share", "10%")
	if code != 0 || stderr != "" || stdout != string(want) {
		t.Errorf("got code %d, %q and\n%s\nwant\n%s", code, stderr, stdout, want)
	}
}

func TestCostComparesWithoutUsers(t *testing.T) {
	t.Parallel()
	code, stdout, _ := reckon(t)
	for _, want := range []string{"100", "10,000", "1,000,000", "1 × t4g.nano", "9 × c7g.large", "In all", "2026-11-22"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("got code %d and\n%s\nwant %q in it", code, stdout, want)
		}
	}
	for line := range strings.Lines(stdout) {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("got %d columns in %q, want at most 79", n-1, line)
		}
	}
}

func TestCostAsJSONSaysTheSame(t *testing.T) {
	t.Parallel()
	code, stdout, _ := reckon(t, "--json", "--users", "0", "--topology", "solo")
	var e costEstimate
	if err := json.Unmarshal([]byte(stdout), &e); code != 0 || err != nil {
		t.Fatalf("got code %d and %v, want JSON:\n%s", code, err, stdout)
	}
	if len(e.Months) != 1 || e.Months[0].Total >= 10 || e.Months[0].Total != e.Months[0].Idle || e.Date == "" {
		t.Errorf("got %+v, want one idle month below 10 $", e)
	}
}

func TestCostWarnsOfAQuota(t *testing.T) {
	t.Parallel()
	if _, stdout, _ := reckon(t, "--gateway-share", "100"); !strings.Contains(strings.Join(strings.Fields(stdout), " "), "raise its quota of 10,000") {
		t.Errorf("got\n%s\nwant the quota of messages in it", stdout)
	}
}

func TestCostBillsARecordedDay(t *testing.T) {
	t.Parallel()
	day := file(t, "day.json", `{"messages": 1000000, "connection_minutes": 0, "invocations": 0, "gb_seconds": 0, "bytes_out": 0}`)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a month":        {[]string{"--day", day}, "30.42"},
		"the first year": {[]string{"--day", day, "--first-year"}, "29.42"},
		"JSON":           {[]string{"--day", day, "--json"}, `"total": 30.41`},
	} {
		if code, stdout, _ := reckon(t, c.args...); code != 0 || !strings.Contains(stdout, c.want) {
			t.Errorf("%s: got code %d and\n%s\nwant %q in it", name, code, stdout, c.want)
		}
	}
}

func TestCostRefusesWhatItCannotReckon(t *testing.T) {
	t.Parallel()
	day := file(t, "day.json", `{"messages": 1}`)
	wrong := file(t, "wrong.json", `{"tunnels": 1}`)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown region":    {[]string{"--region", "atlantis-1"}, 2, "eu-central-1, eu-west-1, us-east-1"},
		"an unknown edge":      {[]string{"--edge", "moon"}, 2, "middle-east-africa"},
		"an unknown topology":  {[]string{"--topology", "swarm"}, 2, "solo and fleet"},
		"users below 0":        {[]string{"--users", "-5"}, 2, "from 0"},
		"users of no number":   {[]string{"--users", "many"}, 2, "many"},
		"traffic below 0":      {[]string{"--mb-per-user", "-1"}, 2, "300 for example"},
		"traffic of no number": {[]string{"--mb-per-user", "NaN"}, 2, "300 for example"},
		"a share above all":    {[]string{"--gateway-share", "101"}, 2, "0 to 100"},
		"a share below 0":      {[]string{"--gateway-share", "-1"}, 2, "0 to 100"},
		"a share of no number": {[]string{"--gateway-share", "half"}, 2, "half"},
		"no distribution":      {[]string{"--distributions", "0"}, 2, "1 to 50"},
		"solo for a country":   {[]string{"--topology", "solo"}, 2, "ask for a fleet"},
		"an argument":          {[]string{"1000"}, 2, "1000"},
		"a day and users":      {[]string{"--day", day, "--users", "1"}, 2, "leave out --users"},
		"a day that is not":    {[]string{"--day", day + ".missing"}, 1, "day.json.missing"},
		"another file":         {[]string{"--day", wrong}, 1, "bin/local gateway"},
	} {
		code, stdout, stderr := reckon(t, c.args...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: got code %d, %q and %q, want %d and %q", name, code, stdout, stderr, c.code, c.want)
		}
	}
}
