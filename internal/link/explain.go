package link

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Explain says what is in l, without the user's keys. What it writes still
// names the fronts, so it is nothing to publish.
func (l *Link) Explain(w io.Writer) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "A link of version %d, %d characters long, for user %d.\n", version, len(l.String()), l.Keys.User)
	fmt.Fprintf(&b, "The origin's public key starts with %x.\n", l.Keys.Origin[:8])
	for i, f := range l.Fronts {
		fmt.Fprintf(&b, "\nFront %d of %d: %s\n", i+1, len(l.Fronts), f.URL())
		f.explain(&b)
	}
	b.WriteString("\nThe user's keys are in the link and not shown: whoever holds the link is this user.\n")
	_, _ = w.Write(b.Bytes()) // an explanation that nobody reads is no failure
}

func (f Front) explain(b *bytes.Buffer) {
	sni := f.ServerName()
	if sni == "" {
		sni = "no name"
	}
	fmt.Fprintf(b, "  dials     %s\n", strings.Join(f.Addrs(), ", "))
	fmt.Fprintf(b, "  SNI       %s\n", sni)
	fmt.Fprintf(b, "  Host      %s\n", f.Host)
	fmt.Fprintf(b, "  verifies  %s, %s\n", f.VerifyName(), f.trust())
	for _, p := range f.Pins {
		fmt.Fprintf(b, "  pin       %s\n", p)
	}
	if f.Gateway {
		b.WriteString("  door      gateway\n")
	}
}

func (f Front) trust() string {
	if len(f.Pins) > 0 {
		return "by a pin"
	}
	return "by a public CA"
}
