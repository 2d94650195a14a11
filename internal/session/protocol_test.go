package session

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"culvert/test/wire2/token"
)

func read(t *testing.T, pattern string) (text string) {
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
	return text
}

func TestTheTextHoldsTheNumbersOfTheCode(t *testing.T) {
	text := read(t, "../PROTOCOL.md")
	for _, row := range []string{
		fmt.Sprintf("| RecordHead | %d |", HeadLen), fmt.Sprintf("| RecordOverhead | %d |", Overhead),
		fmt.Sprintf("| MaxRecord | %d |", MaxRecord), fmt.Sprintf("| MaxRecords | %d |", MaxRecords),
		fmt.Sprintf("| WindowSize | %d |", WindowSize), fmt.Sprintf("| GenerationLife | %.0f s |", GenerationLife.Seconds()),
		fmt.Sprintf("| GenerationKept | %.0f s |", GenerationKept.Seconds()), fmt.Sprintf("| ProveWithin | %.0f s |", ProveWithin.Seconds()),
		fmt.Sprintf("| UserSessions, UserUnproven | %d, %d |", UserSessions, UserUnproven), fmt.Sprintf("| SessionIdle | %.0f s |", SessionIdle.Seconds()),
		fmt.Sprintf("| TokenLife | %.0f s |", token.Life.Seconds()), fmt.Sprintf("| TokensTaken | %d |", token.MaxTaken),
		fmt.Sprintf("| FrontOffset | %.0f s |", token.MaxOffset.Seconds()), fmt.Sprintf("%d characters of base64url for %d bytes", token.TextLen, TokenLen),
		fmt.Sprintf("first Noise message %d |", agreeLen-macLen), fmt.Sprintf("second Noise message %d |", agreedLen),
		fmt.Sprintf("| %d, %d |\n| 14 |", agreeLen, agreedLen),
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the text has no %q", row)
		}
	}
	for _, label := range []string{labelPrologue, labelAgree, labelAgreeKey, labelTokenKey, labelEarly, labelName, labelRoot, labelUp, labelDown} {
		if !strings.Contains(text, "`"+label+"`") {
			t.Errorf("the text does not say %q", label)
		}
	}
}

func TestTheTextHasTheCodesTables(t *testing.T) {
	text, code := read(t, "../PROTOCOL.md"), read(t, "*.go")+read(t, "../token/token.go")
	tables := regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(tables) != 4 {
		t.Errorf("got %d tables, want 4", len(tables))
	}
	for _, table := range tables {
		if !strings.Contains(code, "//\t"+strings.ReplaceAll(strings.TrimSuffix(table[1], "\n"), "\n", "\n//\t")) {
			t.Errorf("the code has no\n%s", table[1])
		}
	}
}

func TestTheTextsTestsExist(t *testing.T) {
	text, code := read(t, "../PROTOCOL.md"), read(t, "*_test.go")+read(t, "../record/*_test.go")+read(t, "../token/*_test.go")
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(text, -1) {
		if !strings.Contains(code, "func "+name+"(") {
			t.Errorf("there is no %s", name)
		}
	}
}
