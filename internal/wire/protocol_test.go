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
		"RecordHead":              fmt.Sprint(RecordHead),
		"RecordOverhead":          fmt.Sprint(RecordOverhead),
		"MaxRecord":               fmt.Sprint(MaxRecord),
		"MaxMessage":              fmt.Sprint(MaxMessage),
		"MaxAhead":                fmt.Sprint(MaxAhead),
		"MaxEarly, MaxEarlyOpens": fmt.Sprintf("%d, %d", MaxEarly, MaxEarlyOpens),
		"FirstWindow, MaxWindow":  fmt.Sprintf("%d, %d", FirstWindow, MaxWindow),
		"HoldTunnel":              fmt.Sprintf("%.0f s", HoldTunnel.Seconds()),
		"MaxFronts":               fmt.Sprint(MaxFronts),
		"TokenLife":               fmt.Sprintf("%.0f s", TokenLife.Seconds()),
		"TicketLife, HandedLife":  fmt.Sprintf("%.0f s, %.0f s", TicketLife.Seconds(), HandedLife.Seconds()),
		"MaxText, MaxTextPart":    fmt.Sprintf("%d, %d", MaxText, MaxTextPart),
	} {
		if row := "| " + name + " | " + want + " |"; !strings.Contains(text, row) {
			t.Errorf("the text has no row %q", row)
		}
	}
	for _, words := range []string{
		"cookie `" + TokenCookie + "`", fmt.Sprintf("%d characters of base64url for %d bytes", TokenLen, len(Token{})),
		"cookie `" + TicketCookie + "`", fmt.Sprintf("%d characters of base64url for %d bytes", TicketLen, ticketRaw),
		"cookie `" + ChallengeCookie + "`", fmt.Sprintf("as %d characters of base64url", len(ChallengeText([16]byte{}, nil))),
		"`" + tokenLabel + "`", "`" + ticketLabel + "`", "`" + handedLabel + "`", "`" + gateLabel + "`", letters,
		fmt.Sprintf("%d times `-`", TicketLen),
	} {
		if !strings.Contains(text, words) {
			t.Errorf("the text does not say %q", words)
		}
	}
}

func TestTheTextHasTheCodesTables(t *testing.T) {
	t.Parallel()
	text := protocolText(t)
	for file, name := range map[string]string{"token.go": "Token", "ticket.go": "TicketLen", "handed.go": "Handed"} {
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
	names := map[Kind]string{Pad: "Pad", Open: "Open", Data: "Data", Fin: "Fin", Ack: "Ack", Use: "Use", Reset: "Reset", Leave: "Leave",
		Received: "Received", Got: "Got", Path: "Path", Known: "Known", Fronts: "Fronts", Bound: "Bound", Bare: "Bare"}
	rows := []string{fmt.Sprintf("| %d, %d | Ping, Pong |", Ping, Pong), fmt.Sprintf("| %d, %d | Again, Answer | client, origin | %d, %d |", Again, Answer, againLen, answerLen),
		fmt.Sprintf("| %d | Bound | client | %d:", Bound, BoundLen)}
	for kind, name := range names {
		rows = append(rows, fmt.Sprintf("| %d | %s |", kind, name))
	}
	if len(names)+4 != int(kinds) {
		t.Errorf("got %d kinds here, want %d", len(names)+4, kinds)
	}
	reasons := []string{"Aborted", "Unknown", "Refused", "NotAllowed", "Unreachable", "Broken", "Busy", "Expired"}
	if len(reasons) != int(Expired) {
		t.Errorf("got %d reasons here, want %d", len(reasons), Expired)
	}
	for i, name := range reasons {
		rows = append(rows, fmt.Sprintf("%d %s", i+1, name))
	}
	for _, row := range rows {
		if !strings.Contains(text, row) {
			t.Errorf("the text has no %q", row)
		}
	}
}
