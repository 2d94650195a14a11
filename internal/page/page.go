// Package page makes the pages that Culvert's users read in a browser: whole in one file, without a script, and without
// anything that would be fetched from elsewhere; in the reader's language and its direction, in light and in dark.
package page

import (
	"fmt"
	"html"
	"strings"

	"culvert/internal/lang"
	"culvert/internal/term"
)

// style is for narrow screens first. What is of machines, a link or a port, is read from left to right everywhere.
const style = `:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fff;--soft:#5b6068;--line:#d8dbe0;--box:#f4f5f7;--good:#0a7a3d;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--paper:#17191c;--soft:#a4a9b2;--line:#3a3e45;--box:#22252a;--good:#5fd38d;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.25rem;max-width:42rem;background:var(--paper);color:var(--ink);font:1rem/1.6 system-ui,"Noto Sans","Noto Naskh Arabic","Noto Sans Myanmar","Noto Sans CJK SC",sans-serif}
h1{font-size:1.5rem;line-height:1.4;margin:0 0 .5rem}
h2{font-size:1.15rem;line-height:1.5;margin:2rem 0 .25rem}
h3{font-size:1rem;margin:1.25rem 0 0}
p{margin:.5rem 0}
a{color:inherit}
.soft{color:var(--soft)}
.state{font-weight:600;margin:1rem 0}
.good::before{content:"✓ ";color:var(--good)}
.bad::before{content:"✗ ";color:var(--bad)}
.note{border-inline-start:.25rem solid var(--bad);padding:.25rem .9rem;background:var(--box)}
table{border-collapse:collapse;margin:.75rem 0}
th,td{text-align:start;vertical-align:top;padding:.3rem 0;border-bottom:1px solid var(--line)}
th{font-weight:400;color:var(--soft);padding-inline-end:2rem}
code,pre{font:.9rem/1.5 ui-monospace,monospace;direction:ltr;unicode-bidi:isolate}
pre,.link{display:block;background:var(--box);padding:.75rem;margin:.5rem 0;text-align:left;white-space:pre-wrap;overflow-wrap:anywhere;user-select:all}
bdi{white-space:nowrap}
@media(max-width:21rem){bdi{white-space:normal}}
.qr{margin:1rem 0;padding:0}
.qr svg{display:block;width:min(100%,26rem);height:auto;background:#fff}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin-top:2.5rem;padding-top:.75rem;border-top:1px solid var(--line);font-size:.9rem}`

// Document is a page that grows from top to bottom. What its methods are given is text, which they escape.
type Document struct {
	lang lang.Language
	body strings.Builder
}

// New begins a page in l.
func New(l lang.Language) *Document { return &Document{lang: l} }

// Lang is the page's language.
func (d *Document) Lang() lang.Language { return d.lang }

// Say returns a message in the page's language.
func (d *Document) Say(message string, args ...any) string { return d.lang.Text(message, args...) }

// Add writes a message in an element: "p" or "h2", or, with a class, "p.soft".
func (d *Document) Add(element, message string, args ...any) {
	d.open(element, isolate(html.EscapeString(d.Say(message, args...))))
}

// wholes are words that browsers break where no reader does: a hyphen that belongs to a name, and Burmese ones that the
// browser's dictionary lacks, whose last consonant would begin a line.
var wholes = []string{lang.Menus, "F-Droid", "Wi-Fi", "လင့်ခ်", "ဟို့စ်", "ပရောက်စီ"}

// isolate keeps what is typed or read as it is from left to right within a text of the other direction, where "--lan"
// would be "lan--", and whole in one line where there is room: in two, each half would stand by itself. Text is escaped already.
func isolate(text string) string {
	const begin, end = `<bdi dir="ltr">`, `</bdi>`
	for _, whole := range wholes {
		text = strings.ReplaceAll(text, whole, begin+whole+end)
	}
	var b strings.Builder
	for {
		before, flag, found := strings.Cut(text, "--")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		word := len(flag) - len(strings.TrimLeft(flag, "abcdefghijklmnopqrstuvwxyz-"))
		b.WriteString(begin + "--" + flag[:word] + end)
		text = flag[word:]
	}
}

func (d *Document) open(element, inside string) {
	name, class, has := strings.Cut(element, ".")
	if has {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(&d.body, "<%s%s>%s</%[1]s>\n", name, class, inside)
}

// Command writes what is to be typed or copied as it is.
func (d *Document) Command(text string) { d.open("pre", html.EscapeString(text)) }

// Anchor writes a link to address, which the caller vouches for.
func (d *Document) Anchor(address, message string) {
	fmt.Fprintf(&d.body, "<p><a href=\"%s\">%s</a></p>\n", html.EscapeString(address), html.EscapeString(d.Say(message)))
}

// Row is a name and a value, both in the page's language.
type Row struct {
	Name, Value string
	Code        bool // the value is a machine's
}

// Table writes rows below one another.
func (d *Document) Table(rows []Row) {
	d.body.WriteString("<table>\n")
	for _, r := range rows {
		value := html.EscapeString(r.Value)
		if r.Code {
			value = "<code>" + unbroken(value) + "</code>"
		}
		fmt.Fprintf(&d.body, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n", html.EscapeString(r.Name), value)
	}
	d.body.WriteString("</table>\n")
}

// unbroken keeps an amount and its unit in one line; two amounts, with two spaces between, may stand below one another.
func unbroken(value string) string {
	amounts := strings.Split(value, "  ")
	for i, a := range amounts {
		amounts[i] = strings.ReplaceAll(a, " ", "\u00a0")
	}
	return strings.Join(amounts, " ")
}

// QR draws code, dark on white in any theme. One that is too large for a QR code is left out: it stands on the
// page as text.
func (d *Document) QR(code string) {
	picture, err := term.QRPicture(".svg", code)
	if err != nil {
		return
	}
	fmt.Fprintf(&d.body, "<figure class=\"qr\" role=\"img\" aria-label=\"%s\">%s</figure>\n", html.EscapeString(d.Say("QR code")), picture)
}

// Languages leads to the same page in each language.
func (d *Document) Languages() {
	d.body.WriteString("<nav>")
	for _, l := range lang.All {
		fmt.Fprintf(&d.body, "<a href=\"?lang=%s\" lang=\"%s\" dir=\"%s\">%s</a>", string(l), l.Tag(), l.Dir(), l.Name())
	}
	d.body.WriteString("</nav>\n")
}

// HTML is the whole page. Its title is a message. Refresh is after how many seconds a browser asks for it again; 0: never.
func (d *Document) HTML(title string, refresh int) string {
	again := ""
	if refresh > 0 {
		again = fmt.Sprintf(`<meta http-equiv="refresh" content="%d">`, refresh)
	}
	title = html.EscapeString(d.Say(title))
	return fmt.Sprintf(`<!doctype html>
<html lang="%s" dir="%s">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">%s
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>%s</title>
<style>%s</style>
<h1>%[4]s</h1>
%[6]s`, d.lang.Tag(), d.lang.Dir(), again, title, style, d.body.String())
}
