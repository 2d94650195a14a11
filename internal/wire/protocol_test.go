package wire

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

func protocolText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheTextHoldsTheNumbersOfTheCode(t *testing.T) {
	t.Parallel()
	text := protocolText(t)
	for name, want := range map[string]string{
		"HeaderLen":   fmt.Sprint(HeaderLen),
		"Overhead":    fmt.Sprint(Overhead),
		"MaxFrame":    fmt.Sprint(MaxFrame),
		"MaxData":     fmt.Sprint(MaxData),
		"MaxMessage":  fmt.Sprint(MaxMessage),
		"MaxEarly":    fmt.Sprint(MaxEarly),
		"FirstWindow": fmt.Sprint(FirstWindow),
		"MaxWindow":   fmt.Sprint(MaxWindow),
		"HoldTunnel":  fmt.Sprintf("%.0f s", HoldTunnel.Seconds()),
		"TokenLife":   fmt.Sprintf("%.0f s", TokenLife.Seconds()),
		"MaxText":     fmt.Sprint(MaxText), "MaxTextPart": fmt.Sprint(MaxTextPart),
		"MaxTextFrames": fmt.Sprint(MaxTextFrames), "TextFrame": fmt.Sprint(TextFrame),
		"TicketLife": fmt.Sprintf("%.0f s", TicketLife.Seconds()), "HandedLife": fmt.Sprintf("%.0f s", HandedLife.Seconds()),
	} {
		if row := "| " + name + " | " + want + " |"; !strings.Contains(text, row) {
			t.Errorf("the text has no row %q", row)
		}
	}
	for _, words := range []string{
		"in the cookie `" + TokenCookie + "`: " + fmt.Sprint(TokenLen) + " characters",
		"`" + tokenLabel + "`", "`" + ticketLabel + "`", "`" + handedLabel + "`", "`" + gateLabel + "`",
		letters, "cookie `" + TicketCookie + "`", fmt.Sprint(TicketLen) + " characters",
	} {
		if !strings.Contains(text, words) {
			t.Errorf("the text does not say %q", words)
		}
	}
}

func TestTheTextHasTheCodesTables(t *testing.T) {
	t.Parallel()
	text := protocolText(t)
	for file, name := range map[string]string{"frame.go": "HeaderLen", "token.go": "TokenLen", "ticket.go": "TicketLen", "handed.go": "Handed"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		comment := regexp.MustCompile(`((?://.*\n)+)(?:const|type) ` + name + ` `).FindStringSubmatch(string(code))
		if comment == nil {
			t.Fatalf("%s: no comment before %s", file, name)
		}
		rows := regexp.MustCompile(`(?m)^//\t(.*)$`).FindAllStringSubmatch(comment[1], -1)
		var table strings.Builder
		for _, row := range rows {
			table.WriteString(row[1] + "\n")
		}
		if len(rows) == 0 || !strings.Contains(text, "```\n"+table.String()+"```") {
			t.Errorf("the text lacks the table of %s:\n%s", name, table.String())
		}
	}
}

func TestTheTextNamesKindsAndReasonsAsTheCodeDoes(t *testing.T) {
	t.Parallel()
	text := protocolText(t)
	kinds := []string{"Open", "Accept", "Data", "Fin", "Ack", "Attach", "Reset", "Ping", "Pong", "Drain"}
	if len(kinds) != int(lastKind) {
		t.Errorf("got %d kinds here, want %d", len(kinds), lastKind)
	}
	reasons := []string{"Aborted", "Unknown", "Refused", "NotAllowed", "Unreachable", "Broken", "Busy", "Expired", "Clock", "Stale"}
	if len(reasons) != int(Stale) {
		t.Errorf("got %d reasons here, want %d", len(reasons), Stale)
	}
	for _, names := range [][]string{kinds, reasons} {
		for i, name := range names {
			if row := fmt.Sprintf("| %d | %s |", i+1, name); !strings.Contains(text, row) {
				t.Errorf("the text has no row %q", row)
			}
		}
	}
}
