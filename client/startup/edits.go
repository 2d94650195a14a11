package startup

import "strings"

// variable edits a file of settings that a shell reads, or systemd, and in which our options are one variable.
func variable(options []string) func(string, bool) string {
	return func(was string, put bool) string {
		var kept strings.Builder
		ours, quote := false, ""
		for line := range strings.Lines(was) {
			if value, found := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(line), "export "), "CULVERT_OPTIONS="); found {
				ours, quote = true, opens(value)
			} else if ours && quote != "" && strings.Contains(line, quote) {
				quote = ""
			} else if !ours {
				kept.WriteString(line)
			}
			ours = ours && (quote != "" || strings.HasSuffix(strings.TrimRight(line, "\r\n"), `\`))
		}
		if !put {
			return kept.String()
		}
		return whole(kept.String()) + "CULVERT_OPTIONS=\"" + strings.Join(options, " ") + "\"\n"
	}
}

// opens is the quote that a value begins with, if it does not end there.
func opens(value string) string {
	for _, quote := range []string{`"`, `'`} {
		if strings.HasPrefix(value, quote) && !strings.Contains(value[1:], quote) {
			return quote
		}
	}
	return ""
}

// whole ends a text with the end of a line, if there is one.
func whole(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		return text + "\n"
	}
	return text
}

// section edits a file of OpenWrt's settings, in whose section "main" our options are.
func section(link string, options []string) func(string, bool) string {
	said := "\toption link '" + link + "'\n\toption lan '0'\n\toption options '" + strings.Join(options, " ") + "'\n"
	return func(was string, put bool) string {
		const head = "config culvert main\n"
		var kept strings.Builder
		inside, found := false, false
		for line := range strings.Lines(was) {
			words := strings.Fields(strings.NewReplacer(`'`, "", `"`, "").Replace(line))
			switch {
			case len(words) > 0 && words[0] == "config":
				inside = len(words) == 3 && words[2] == "main"
				kept.WriteString(line)
				if inside && put && !found {
					kept.WriteString(said)
				}
				found = found || inside
			case inside && len(words) > 1 && words[0] == "option" && (words[1] == "link" || words[1] == "lan" || words[1] == "options"):
			default:
				kept.WriteString(line)
			}
		}
		switch {
		case put && !found:
			return whole(kept.String()) + head + said
		case !put && strings.TrimSpace(strings.ReplaceAll(kept.String(), `'main'`, "main")) == strings.TrimSpace(head):
			return ""
		}
		return kept.String()
	}
}
