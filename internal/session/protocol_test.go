package session

import (
	"fmt"
	"os"
	"path/filepath"
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
		fmt.Sprintf("| %d, %d |\n| 13 |", agreeLen, agreedLen), fmt.Sprintf("for %.0f s; the next", tryAgain.Seconds()), fmt.Sprintf("more than %d in a session", maxGenerations),
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the text has no %q", row)
		}
	}
	for _, label := range []string{labelPrologue, labelAgree, labelEarly, labelName, labelRoot, labelUp, labelDown} {
		if !strings.Contains(text, "`"+label+"`") {
			t.Errorf("the text does not say %q", label)
		}
	}
}

func TestTheTextHasTheCodesTables(t *testing.T) {
	text, code := readAll(t, protocol), readAll(t, "*.go")
	tables := regexp.MustCompile(`(?m)(^//\t.*\n)+`).FindAllString(code, -1)
	if len(tables) != 3 {
		t.Errorf("got %d tables, want 3", len(tables))
	}
	for _, table := range tables {
		if table = strings.ReplaceAll(table, "//\t", ""); !strings.Contains(text, "```\n"+table+"```") {
			t.Errorf("the text has no\n%s", table)
		}
	}
}

func TestTheTextsTestsExist(t *testing.T) {
	text, code := readAll(t, protocol), readAll(t, "*_test.go", "../wire/*_test.go", "../../origin/*_test.go")
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(text, -1) {
		if !strings.Contains(code, "func "+name+"(") {
			t.Errorf("there is no %s", name)
		}
	}
}
