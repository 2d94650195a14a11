package link

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"

	"culvert/internal/seal"
)

// vector is a link that was put together byte by byte from the layout in
// body.go, by other code than this package's.
type vector struct {
	Link, Origin, Private, Token string
	User                         uint32
	Fronts, Resolvers            []string
}

func vectors(t testing.TB) (list []vector) {
	t.Helper()
	file, err := os.ReadFile("testdata/links.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func (v vector) parsed(t testing.TB) *Link {
	t.Helper()
	l := &Link{Keys: seal.ClientKeys{User: v.User}}
	unhex(t, l.Keys.Origin[:], v.Origin)
	unhex(t, l.Keys.Private[:], v.Private)
	unhex(t, l.Keys.Token[:], v.Token)
	for _, s := range v.Fronts {
		l.Fronts = append(l.Fronts, mustFront(t, s))
	}
	for _, s := range v.Resolvers {
		l.Resolvers = append(l.Resolvers, mustResolver(t, s))
	}
	return l
}

func unhex(t testing.TB, to []byte, s string) {
	t.Helper()
	if n, err := hex.Decode(to, []byte(s)); err != nil || n != len(to) {
		t.Fatalf("vector has bad hex of %d bytes: %v", n, err)
	}
}

func mustFront(t testing.TB, s string) Front {
	t.Helper()
	f, err := ParseFront(s)
	if err != nil {
		t.Fatalf("ParseFront(%q): %v", s, err)
	}
	return f
}

// body is the bytes of a link, without the checksum.
func body(t testing.TB, link string) []byte {
	t.Helper()
	b, err := encoding.DecodeString(strings.ToUpper(strings.TrimPrefix(link, Scheme)))
	if err != nil {
		t.Fatal(err)
	}
	return b[:len(b)-checksumLen]
}

// sealed makes a link of a body with any length and checksum made right.
func sealed(b []byte) string {
	b = bytes.Clone(b)
	binary.BigEndian.PutUint16(b[1:], uint16(len(b)+checksumLen))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return Scheme + strings.ToLower(encoding.EncodeToString(b))
}

func TestVectorsAreReadAndWrittenAlike(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		want := v.parsed(t)
		got, err := Parse(v.Link)
		if err != nil {
			t.Fatalf("Parse(%s): %v", v.Link, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", *got, *want)
		}
		if s := want.String(); s != v.Link {
			t.Errorf("got %s, want %s", s, v.Link)
		}
	}
}

func TestUpperAndMixedCaseAreTheSameLink(t *testing.T) {
	t.Parallel()
	v := vectors(t)[0]
	want := v.parsed(t)
	for _, s := range []string{want.QR(), "Culvert:" + v.Link[len(Scheme):]} {
		got, err := Parse(s)
		if err != nil || got.String() != want.String() {
			t.Errorf("got %v, want the link of %s", err, s)
		}
	}
}

func TestEveryTruncationIsCalledCutOff(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		for n := len(Scheme); n < len(v.Link); n++ {
			if _, err := Parse(v.Link[:n]); !errors.Is(err, ErrCut) {
				t.Fatalf("got %v for %d of %d characters, want cut off", err, n, len(v.Link))
			}
		}
	}
}

func TestEveryChangedCharacterIsNoticed(t *testing.T) {
	t.Parallel()
	link := vectors(t)[2].Link
	for i := range link {
		for _, c := range []byte("a7\n \x00\xe2:") {
			b := []byte(link)
			if b[i] == c {
				continue
			}
			b[i] = c
			if _, err := Parse(string(b)); err == nil {
				t.Errorf("got no error with character %d as %q", i, c)
			}
		}
	}
}

func TestWhatIsNoLinkIsRefusedWithAWayOut(t *testing.T) {
	t.Parallel()
	link := vectors(t)[0].Link
	b := body(t, link)
	fronts := len(b) - 2 - len("d111111abcdef8.cloudfront.net") // where the first front starts
	change := func(at int, to ...byte) string {
		c := bytes.Clone(b)
		copy(c[at:], to)
		return sealed(c)
	}
	resolving := func(count byte, resolvers string) string {
		c := append(bytes.Clone(b), count)
		c[fronts-1] += countResolvers
		return sealed(append(c, resolvers...))
	}
	many := ""
	for i := range 9 {
		many += "\x00\x01" + string(rune('a'+i))
	}
	for name, c := range map[string]struct{ link, want string }{
		"nothing":               {"", "no link"},
		"another URI":           {"https://example.com/", "no link"},
		"a link with a prefix":  {"x" + link, "no link"},
		"a space behind":        {link + " ", "character"},
		"Kelvin's sign for k":   {strings.Replace(link, "k", "\u212a", 1), "character"},
		"a tail":                {link + "aaaa", "4 characters too long"},
		"two links":             {link + link[len(Scheme):], "too long"},
		"endless text":          {link + strings.Repeat("a", maxText), "at most"},
		"a later version":       {change(0, 3), "version 3"},
		"ECH, but for none":     {change(0, versionECH), "rules"},
		"a wrong checksum":      {Scheme + "b" + link[len(Scheme)+1:], "version"},
		"no origin":             {change(3, make([]byte, 32)...), "rules"},
		"no front":              {sealed(append(bytes.Clone(b[:fronts-1]), 0)), "rules"},
		"more fronts than said": {change(fronts-1, 0), "rules"},
		"fewer than said":       {change(fronts-1, 2), "rules"},
		"17 fronts":             {change(fronts-1, 17), "rules"},
		"user number too long":  {sealed(bytes.Join([][]byte{b[:83], {0x81, 0}, b[84:]}, nil)), "rules"},
		"user beyond 32 bits":   {sealed(bytes.Join([][]byte{b[:83], {0x81, 0x80, 0x80, 0x80, 0x10}, b[84:]}, nil)), "rules"},
		"endless user number":   {change(83, bytes.Repeat([]byte{0xff}, 20)...), "rules"},
		"a flag with nothing":   {change(fronts, flagPins), "rules"},
		"an upper-case host":    {change(fronts+2, 'D'), "rules"},
		"a host with a newline": {change(fronts+2, '\n'), "rules"},
		"a host of no length":   {change(fronts+1, 0), "rules"},
		"a host beyond the end": {change(fronts+1, 253), "rules"},
		"an IP address as name": {sealed(append(bytes.Clone(b[:fronts]), "\x00\x091.2.3.4.5"...)), "rules"},
		"port 443 spelled out":  {sealed(append(bytes.Clone(b[:fronts]), "\x01\x01a\x01\xbb"...)), "rules"},
		"port 0":                {sealed(append(bytes.Clone(b[:fronts]), "\x01\x01a\x00\x00"...)), "rules"},
		"an empty path":         {sealed(append(bytes.Clone(b[:fronts]), "\x02\x01a\x00"...)), "rules"},
		"the path / spelled":    {sealed(append(bytes.Clone(b[:fronts]), "\x02\x01a\x01/"...)), "rules"},
		"a path with a line":    {sealed(append(bytes.Clone(b[:fronts]), "\x02\x01a\x03/\r\n"...)), "rules"},
		"dial of the host":      {sealed(append(bytes.Clone(b[:fronts]), "\x04\x01a\x01\x01a"...)), "rules"},
		"dial of nothing":       {sealed(append(bytes.Clone(b[:fronts]), "\x04\x01a\x00"...)), "rules"},
		"dial ports for no one": {sealed(append(bytes.Clone(b[:fronts]), "\x08\x01a"...)), "rules"},
		"needless dial ports":   {sealed(append(bytes.Clone(b[:fronts]), "\x0c\x01a\x01\x01b\x01\xbb"...)), "rules"},
		"255 dials":             {sealed(append(bytes.Clone(b[:fronts]), "\x04\x01a\xff"...)), "rules"},
		"sni of the host":       {sealed(append(bytes.Clone(b[:fronts]), "\x10\x01a\x01a"...)), "rules"},
		"sni and no sni":        {sealed(append(bytes.Clone(b[:fronts]), "\x30\x01a\x01b"...)), "rules"},
		"an IP address as sni":  {sealed(append(bytes.Clone(b[:fronts]), "\x10\x01a\xfe\x01\x02\x03\x04"...)), "rules"},
		"verify of the host":    {sealed(append(bytes.Clone(b[:fronts]), "\x40\x01a\x01a"...)), "rules"},
		"an IPv4-mapped host":   {sealed(append(bytes.Clone(b[:fronts]), "\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04"...)), "rules"},
		"cut inside a front":    {sealed(b[:len(b)-1]), "rules"},
		"no resolver":           {resolving(0, ""), "rules"},
		"9 resolvers":           {resolving(9, many), "rules"},
		"255 resolvers":         {resolving(255, many), "rules"},
		"a resolver twice":      {resolving(2, "\x00\x01a\x00\x01a"), "rules"},
		"fewer resolvers":       {resolving(2, "\x00\x01a"), "rules"},
		"more resolvers":        {resolving(1, "\x00\x01a\x00\x01b"), "rules"},
		"a tail in the body":    {sealed(append(bytes.Clone(b), 0)), "rules"},
	} {
		if _, err := Parse(c.link); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestALinkThatCannotBeParsedIsNotWritten(t *testing.T) {
	t.Parallel()
	good := vectors(t)[0].parsed(t)
	front := good.Fronts[0]
	long := front
	long.Path = "/" + strings.Repeat("a", maxPath-1)
	var many, wide []Front
	for i := range maxFronts + 1 {
		f := front
		f.Path = "/" + strings.Repeat("b", i)
		many = append(many, f)
		long.Path = long.Path[:maxPath-i] + strings.Repeat("b", i)
		wide = append(wide, long)
	}
	for name, l := range map[string]Link{
		"no keys":           {Fronts: good.Fronts},
		"no fronts":         {Keys: good.Keys},
		"too many fronts":   {Keys: good.Keys, Fronts: many},
		"the same twice":    {Keys: good.Keys, Fronts: []Front{front, front}},
		"too long":          {Keys: good.Keys, Fronts: wide[:maxFronts]},
		"a bad front":       {Keys: good.Keys, Fronts: []Front{{Host: "a b"}}},
		"an endless host":   {Keys: good.Keys, Fronts: []Front{{Host: strings.Repeat("a", 1<<16)}}},
		"sni none as name":  {Keys: good.Keys, Fronts: []Front{{Host: "a", SNI: "none"}}},
		"a resolver twice":  {Keys: good.Keys, Fronts: good.Fronts, Resolvers: []Resolver{{front}, {front}}},
		"a bad resolver":    {Keys: good.Keys, Fronts: good.Fronts, Resolvers: []Resolver{{Front{Host: "a b"}}}},
		"a resolver's door": {Keys: good.Keys, Fronts: good.Fronts, Resolvers: []Resolver{{Front{Host: "a", Gateway: true}}}},
		"9 resolvers":       {Keys: good.Keys, Fronts: good.Fronts, Resolvers: make([]Resolver, 9)},
		"both sni and none": {Keys: good.Keys, Fronts: []Front{{Host: "a", SNI: "b", NoSNI: true}}},
	} {
		if l.Validate() == nil || l.String() != "" || l.QR() != "" {
			t.Errorf("%s: got %v and %q, want an error and nothing", name, l.Validate(), l.String())
		}
	}
	most := Link{Keys: good.Keys, Fronts: many[:maxFronts]}
	if got, err := Parse(most.String()); err != nil || len(got.Fronts) != maxFronts {
		t.Errorf("got %v, want a link of %d fronts", err, maxFronts)
	}
}

func TestExplainShowsFrontsAndNoSecrets(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		l := v.parsed(t)
		var b bytes.Buffer
		l.Explain(func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) })
		shown := []string{}
		for _, f := range l.Fronts {
			shown = append(append(shown, f.Addrs()...), f.URL(), f.VerifyName())
		}
		for _, r := range l.Resolvers {
			shown = append(append(shown, r.Addrs()...), r.URL())
		}
		for _, want := range shown {
			if !strings.Contains(b.String(), want) {
				t.Errorf("got %s, want %s in it", b.String(), want)
			}
		}
		for _, secret := range []string{v.Private[:8], v.Token[:8], l.String()[len(Scheme)+60 : len(Scheme)+70]} {
			if strings.Contains(b.String(), secret) {
				t.Errorf("got %s, want %s left out", b.String(), secret)
			}
		}
	}
}

func TestALoggedLinkIsWithheld(t *testing.T) {
	t.Parallel()
	l := vectors(t)[0].parsed(t)
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("dial", "link", l)
	if strings.Contains(b.String(), Scheme) || !strings.Contains(b.String(), "withheld") {
		t.Errorf("got %s, want the link withheld", b.String())
	}
}

// What Parse accepts, String writes back but for the case: a link has one
// spelling. The bytes get a right length and checksum, so that the fuzzer
// reaches what is behind them.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(body(f, v.Link))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 3 || len(b) > maxBody {
			return
		}
		text := sealed(b)
		l, err := Parse(text)
		if err != nil {
			return
		}
		if got := l.String(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
		for _, front := range l.Fronts {
			if clean, err := front.clean(); err != nil || !reflect.DeepEqual(clean, front) {
				t.Errorf("got %+v, want its one form %+v, %v", front, clean, err)
			}
		}
		for _, r := range l.Resolvers {
			if again, err := ParseResolver(r.String()); err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("got %+v, want its one form %+v, %v", r, again, err)
			}
		}
	})
}

func FuzzParseText(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Link)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if l, err := Parse(s); err == nil && l.String() != strings.ToLower(s) {
			t.Errorf("got %s, want %s", l.String(), s)
		}
	})
}
