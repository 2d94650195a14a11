package session

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const protocol = "../wire/PROTOCOL.md"

func readAll(t *testing.T, patterns ...string) (text string) {
	t.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text += string(b)
		}
	}
	return text
}

func TestTheTextHoldsTheNumbersOfTheCode(t *testing.T) {
	text := readAll(t, protocol)
	for _, row := range []string{
		fmt.Sprintf("| MaxRecords | %d |", MaxRecords), fmt.Sprintf("| WindowSize | %d |", WindowSize),
		fmt.Sprintf("| GenerationLife | %.0f s |", GenerationLife.Seconds()), fmt.Sprintf("| GenerationKept | %.0f s |", GenerationKept.Seconds()),
		fmt.Sprintf("| ProveWithin | %.0f s |", ProveWithin.Seconds()), fmt.Sprintf("| SessionIdle | %.0f s |", SessionIdle.Seconds()),
		fmt.Sprintf("| UserSessions, UserUnproven | %d, %d |", UserSessions, UserUnproven),
		fmt.Sprintf("first Noise message %d |", agreeLen-macLen), fmt.Sprintf("second Noise message %d |", agreedLen),
		fmt.Sprintf("| %d, %d |\n| 13 |", agreeLen, agreedLen), fmt.Sprintf("or after %.0f s, another carrier may try", tryAgain.Seconds()), fmt.Sprintf("more than %d in a session", maxGenerations),
		fmt.Sprintf("| %d | Fill | both | length %d, at most %d, and as many bytes, ignored: at the stream door alone, %d from each", Fill, fillHead, MaxFill, mostFills),
		fmt.Sprintf("`%s`", exportLabel), fmt.Sprintf("another when it has been bare for %.0f s", bareLife.Seconds()), fmt.Sprintf("at both ends after %.0f s", bareKept.Seconds()),
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the text has no %q", row)
		}
	}
}

// The two that are no names of keys may begin others.
func TestTheTextSaysTheLabelsOfTheCode(t *testing.T) {
	text := readAll(t, protocol)
	labels := regexp.MustCompile(`"(culvert 2[a-z ]*)"`).FindAllStringSubmatch(readAll(t, "agree.go", "carrier.go", "client.go", "origin*.go", "session.go"), -1)
	for i, label := range labels {
		if !strings.Contains(text, "`"+label[1]+"`") {
			t.Errorf("the text does not say %q", label[1])
		}
		for k, other := range labels {
			if i != k && label[1] != other[1] && label[1] != "culvert 2" && label[1] != "culvert 2 agree" && strings.HasPrefix(other[1], label[1]) {
				t.Errorf("%q is the beginning of %q", label[1], other[1])
			}
		}
	}
	if len(labels) < 7 {
		t.Errorf("got %d labels, want 7 at least", len(labels))
	}
}

// row says where a value stands, as the text's tables do.
func row(at int, name string, size int) string {
	return fmt.Sprintf(`\n ?%d  %s +%d\b`, at, strings.ToLower(name), size)
}

func TestTheTextHasTheCodesTables(t *testing.T) {
	text := strings.ToLower(readAll(t, protocol))
	want := func(row string) {
		if !regexp.MustCompile(row).MatchString(text) {
			t.Errorf("the text has no row %q", row)
		}
	}
	at := 0
	for i := range reflect.TypeFor[hello]().NumField() {
		f := reflect.TypeFor[hello]().Field(i)
		want(row(at, f.Name, int(f.Type.Size())))
		at += int(f.Type.Size())
	}
	want(row(0, "b", 16))
	want(row(16, "owner", 8))
	want(row(24, "how", answerLen-24))
	w := newWorld(t)
	s := NewClient(w.pair(1)[0], ChaCha20Poly1305)
	w.dial(s, 1, Gateway, w.process).talk(t)
	c := w.dial(s, 1, Gateway, w.process).c
	said, _ := c.Head(nil, w.now)
	at = 0
	for _, part := range []struct {
		name  string
		value []byte
	}{
		{"cipher", []byte{byte(ChaCha20Poly1305)}}, {"door", []byte{byte(Gateway)}},
		{"g", said[2:10]}, {"n", said[10:14]}, {"c", said[14:]}, {"token", c.token[:]},
	} {
		want(row(at, part.name, len(part.value)))
		if !bytes.HasPrefix(c.id()[at:], part.value) {
			t.Errorf("the id does not hold %s at %d", part.name, at)
		}
		at += len(part.value)
	}
	if len(c.id()) != at {
		t.Errorf("the id is %d bytes, want %d", len(c.id()), at)
	}
}

func TestTheTextsTestsExist(t *testing.T) {
	text, code := readAll(t, protocol), readAll(t, "*_test.go", "../wire/*_test.go", "../../origin/*_test.go", "../../test/e2e/*_test.go")
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(text, -1) {
		if !strings.Contains(code, "func "+name+"(") {
			t.Errorf("there is no %s", name)
		}
	}
}
