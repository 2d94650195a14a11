package site

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed sites
var embedded embed.FS

// kind is one of the embedded sites. Its pages name it, and one of accents colours it.
type kind struct {
	name  string   // of its folder, in settings
	names []string // that it may have
	icon  string   // 16 lines, or empty if it has a file for that
}

// kinds only grow at the end: a seed chooses among them.
var kinds = []kind{
	{"soups", []string{"Marta's Sunday Soups", "A Soup a Week", "The Long Ladle", "Soups for Six", "Ines and the Big Pot", "Slow Soups"}, ""},
	{"walkers", []string{"Elmsdale Footpath Club", "The Sunday Ramblers", "Three Rivers Walkers", "Harcombe Walking Group", "Stiles and Sandwiches", "The Wednesday Boots"}, hills},
	{"panaderia", []string{"Panadería La Espiga", "Horno de Santa Ana", "La Tahona de Julia", "Pan y Leña", "Obrador El Molino", "Panadería Los Hermanos"}, loaf},
	{"foto", []string{"Снимки у окна", "Плёночный фотограф", "Домашний портрет", "Тридцать шесть кадров", "Фотограф Антон", "Негатив"}, lens},
	{"sabbak", []string{"سباكة الحي", "ورشة أبو سامر للسباكة", "سباك البيت", "ورشة النور للسباكة", "سباكة الأمانة", "ورشة أبو خليل"}, tap},
	{"farsh", []string{"رفوگری آفتاب", "کارگاه فرش لاله", "رفوگری پدر", "فرش و رفو", "کارگاه نقش و نخ", "رفوگری گلستان"}, rug},
	{"caifeng", []string{"阿芳裁缝店", "老街裁缝铺", "针线小店", "合身裁缝", "陈记改衣", "青布裁缝"}, button},
	{"panchan", []string{"စံပယ် ပန်းခြံ", "နှင်းဆီ ပျိုးခြံ", "ရွှေပန်း ပျိုးခြံ", "မြစိမ်း ပန်းခြံ", "သဇင် ပျိုးခြံ", "ပန်းမြိုင်"}, flower},
}

// accents are dark enough to be read on white, and to have white on them.
var accents = []string{"#9a3f1d", "#7a2e3b", "#2f5d50", "#1f4e79", "#5b3a78", "#6b4a1f", "#34502b", "#8a2f5c", "#23606b", "#5a4632", "#3d4f8a", "#7d3b12"}

// Choice is an embedded site: which, and what tells it from others of its kind. The zero Seed and no Name are the
// site as it stands in its folder.
type Choice struct {
	Kind string // one of Kinds; empty: the seed chooses
	Seed uint32 // below Seeds: chooses the name, the colour and the day of the last change
	Name string // in the place of a name of ours
}

// Seeds is how many seeds there are.
const Seeds = 1 << 24

// begin is when a site of seed 0 changed. Each seed has a second of its own, so that it is known by Last-Modified.
// Advance it together with the pages.
var begin = time.Date(2025, time.October, 12, 16, 20, 7, 0, time.UTC)

// Kinds are the names of the embedded sites.
func Kinds() []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}

var errChoice = errors.New("names no website that is here: there are " + strings.Join(Kinds(), ", "))

// ParseChoice reads what String writes: a kind, ":" and a seed in hexadecimal, "?name=" and a name. All but the kind may
// be missing.
func ParseChoice(text string) (Choice, error) {
	rest, query, _ := strings.Cut(text, "?")
	name, seed, hasSeed := strings.Cut(rest, ":")
	values, err := url.ParseQuery(query)
	c := Choice{Kind: name, Name: values.Get("name")}
	if err != nil || len(values) > 1 || query != "" && c.Name == "" || len(c.Name) > maxName {
		return Choice{}, fmt.Errorf("has something behind the website's kind that is no name of up to %d bytes", maxName)
	}
	if hasSeed {
		n, err := strconv.ParseUint(seed, 16, 24)
		if err != nil {
			return Choice{}, errors.New("has a seed that is not 1 to 6 digits in hexadecimal")
		}
		c.Seed = uint32(n)
	}
	if !slices.Contains(Kinds(), name) {
		return Choice{}, errChoice
	}
	return c, nil
}

// maxName bounds the name of a website.
const maxName = 100

// String is the text that ParseChoice reads.
func (c Choice) String() string {
	text := fmt.Sprintf("%s:%06x", c.kind().name, c.Seed)
	if c.Name != "" {
		text += "?" + url.Values{"name": {c.Name}}.Encode()
	}
	return text
}

func (c Choice) kind() kind {
	for _, k := range kinds {
		if k.name == c.Kind {
			return k
		}
	}
	return kinds[c.Seed%uint32(len(kinds))]
}

// pick is the one of n things that the seed chooses, by other digits of it for each step.
func (c Choice) pick(step uint32, n int) int {
	for range step {
		c.Seed /= 13
	}
	return int(c.Seed % uint32(n))
}

// Site makes the site.
func (c Choice) Site() *Site {
	k := c.kind()
	name := c.Name
	if name == "" {
		name = k.names[c.pick(1, len(k.names))]
	}
	accent := accents[c.pick(2, len(accents))]
	words := strings.NewReplacer("{{name}}", escape.Replace(name), "{{accent}}", accent)
	s := &Site{files: map[string]file{}}
	changed := begin.Add(time.Duration(c.Seed) * time.Second)
	root := "sites/" + k.name
	fs.WalkDir(embedded, root, func(at string, d fs.DirEntry, _ error) error { // embedded: cannot fail
		if !d.IsDir() {
			body, _ := embedded.ReadFile(at)
			if types[extension(at)] != "" && extension(at) != ".ico" {
				body = []byte(words.Replace(string(body)))
			}
			s.files[strings.TrimPrefix(at, root)] = newFile(at, body, changed)
		}
		return nil
	})
	if k.icon != "" {
		s.files["/favicon.ico"] = newFile("favicon.ico", icon(k.icon, accent), changed)
	}
	return s
}

// escape is for text in HTML.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func extension(name string) string { return name[strings.LastIndexByte(name, '.'):] }

// Recognize says which embedded site has a first page with this Last-Modified and these bytes. ok is false if none that
// has a name of ours.
func Recognize(modified string, page []byte) (c Choice, ok bool) {
	changed, err := http.ParseTime(modified)
	seed := int64(changed.Sub(begin) / time.Second)
	if err != nil || seed < 0 || seed >= Seeds {
		return Choice{}, false
	}
	for _, k := range kinds {
		c := Choice{Kind: k.name, Seed: uint32(seed)}
		if bytes.Equal(c.Site().files["/index.html"].body, page) {
			return c, true
		}
	}
	return Choice{}, false
}
