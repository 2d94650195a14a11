package link

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// sampleList is one with all that a list may have.
func sampleList(t testing.TB) *List {
	l := &List{
		Version: 1_800_000_000, Expires: time.Unix(1_810_000_000, 0),
		Fronts: []Front{
			mustFront(t, "wss://new.example/"),
			mustFront(t, "wss://cdn.example/;host=b.example;dial=192.0.2.1;sni=none;pin="+pinA),
			mustFront(t, "wss://a1b2.execute-api.eu-west-1.amazonaws.com/v1;door=gateway"),
		},
		Withdrawn: []Withdrawal{mustFront(t, "wss://old.example/").Withdrawal(), WithdrawalOf("gone.example")},
	}
	slices.SortFunc(l.Withdrawn, compareWithdrawals)
	return l
}

func mustSign(t testing.TB, l *List, m seal.Master) []byte {
	t.Helper()
	b, err := l.Sign(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestASignedListIsReadAgain(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	for name, want := range map[string]*List{
		"all":     sampleList(t),
		"ECH":     {Version: 2, Expires: time.Unix(1, 0), Fronts: []Front{mustFront(t, "wss://a.example/"), mustFront(t, "wss://b.example/;look=firefox;ech="+echA)}},
		"looks":   {Version: 2, Expires: time.Unix(1, 0), Fronts: []Front{mustFront(t, "wss://a.example/"), mustFront(t, "wss://b.example/;look=firefox;visit=no")}},
		"nothing": {Version: 1, Expires: time.Unix(1, 0)},
		"at most": {Version: 1<<32 - 1, Expires: time.Unix(1<<32-1, 0), Fronts: func() (all []Front) {
			for i := range maxFronts {
				all = append(all, mustFront(t, fmt.Sprintf("wss://number-%d.of-a-long-name.example/", i)))
			}
			return all
		}()},
	} {
		got, err := ParseList(mustSign(t, want, m), m.PublicKey())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestAListIsBelievedAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	m, other := seal.NewMaster(), seal.NewMaster()
	good := mustSign(t, sampleList(t), m)
	signed := func(body []byte) []byte { return append(bytes.Clone(body), m.Sign(listLabel, body)...) }
	body := good[:len(good)-seal.SignatureLen]
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(body)
		b[at] = to
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":             {nil, errListForged},
		"cut":                 {good[:len(good)-1], errListForged},
		"the half":            {good[:len(good)/2], errListForged},
		"more":                {append(bytes.Clone(good), 0), errListForged},
		"unsigned":            {append(bytes.Clone(body), make([]byte, seal.SignatureLen)...), errListForged},
		"of another origin":   {mustSign(t, sampleList(t), other), errListOther},
		"signed by another":   {append(bytes.Clone(body), other.Sign(listLabel, body)...), errListForged},
		"of another label":    {append(bytes.Clone(body), m.Sign("culvert 2 links", body)...), errListForged},
		"of a newer format":   {signed(changed(0, 3)), errListNewer},
		"of ECH for none":     {signed(changed(0, 2)), errListRules},
		"of format 0":         {signed(changed(0, 0)), errListForged},
		"huge":                {make([]byte, wire.MaxFronts+1), errListTooLong},
		"version 0":           {signed(append(append(bytes.Clone(body[:9]), 0, 0, 0, 0), body[13:]...)), errListRules},
		"no fronts where 16":  {signed(append(bytes.Clone(body[:17]), 16, 0)), errListRules},
		"too many fronts":     {signed(append(bytes.Clone(body[:17]), 17, 0)), errListRules},
		"resolvers":           {signed(changed(17, body[17]|countResolvers)), errListRules},
		"withdrawn twice":     {signed(append(bytes.Clone(body[:17]), append([]byte{0, 2}, make([]byte, 16)...)...)), errListRules},
		"more than withdrawn": {signed(append(bytes.Clone(body), 0)), errListRules},
	} {
		if l, err := ParseList(c.b, m.PublicKey()); !errors.Is(err, c.want) || l != nil {
			t.Errorf("%s: got %v, %v, want %v", name, l, err, c.want)
		}
	}
	for i := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := ParseList(bad, m.PublicKey()); err == nil {
			t.Errorf("a list with bit %d changed is believed", i)
		}
	}
}

func TestAListThatSaysTwoThingsIsNotSigned(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	for name, change := range map[string]func(*List){
		"a front twice":             func(l *List) { l.Fronts = append(l.Fronts, l.Fronts[0]) },
		"a front that is withdrawn": func(l *List) { l.Withdrawn = append(l.Withdrawn, l.Fronts[0].Withdrawal()) },
		"a host that is withdrawn":  func(l *List) { l.Withdrawn = append(l.Withdrawn, WithdrawalOf("new.example")) },
		"17 fronts":                 func(l *List) { l.Fronts = make([]Front, 17) },
		"65 withdrawn":              func(l *List) { l.Withdrawn = make([]Withdrawal, 65) },
		"no version":                func(l *List) { l.Version = 0 },
		"no end":                    func(l *List) { l.Expires = time.Time{} },
		"more than fits in a record": func(l *List) {
			l.Fronts[0].Path = "/" + strings.Repeat("x", 254)
			l.Withdrawn = make([]Withdrawal, 64)
			l.Fronts = long(l.Fronts[0])
		},
	} {
		l := sampleList(t)
		change(l)
		if b, err := l.Sign(m); err == nil {
			t.Errorf("%s: got %d bytes, want an error", name, len(b))
		}
	}
}

func long(f Front) (all []Front) {
	for i := range 12 {
		f.Host = fmt.Sprintf("%d.example", i)
		all = append(all, f)
	}
	return all
}

func TestAWithdrawalIsOfAFrontOrOfAllOfItsHost(t *testing.T) {
	t.Parallel()
	f := mustFront(t, "wss://cdn.example/;host=b.example")
	for what, want := range map[string]bool{
		"wss://cdn.example/;host=b.example":                 true,
		"wss://b.example/;dial=cdn.example;sni=cdn.example": true, // the same, spelled otherwise
		"b.example":        true,
		"B.example.:443":   true,
		"wss://b.example/": false,
		"cdn.example":      false,
		"b.example:8443":   false,
	} {
		w, err := ParseWithdrawal(what)
		l := &List{Withdrawn: []Withdrawal{w}}
		if got := l.Withdraws(f); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
		}
	}
	for _, bad := range []string{"", "https://b.example/", "b example", "wss://"} {
		if _, err := ParseWithdrawal(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

// The layout in PROTOCOL.md is the code's.
func TestTheTextHasTheTableOfLists(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../wire/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("list.go")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for line := range strings.Lines(string(code)) {
		if row, ok := strings.CutPrefix(line, "//\t"); ok {
			table.WriteString(row)
		}
		if strings.HasPrefix(line, "const listFormat") {
			break
		}
	}
	for _, want := range []string{"```\n" + table.String() + "```", "`" + listLabel + "`"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text lacks\n%s", want)
		}
	}
}

// What ParseList accepts, Sign writes again but for the signature; and no byte makes it panic. The
// signature is left out of the fuzzer's way.
func FuzzList(f *testing.F) {
	m := seal.NewMaster()
	b := mustSign(f, sampleList(f), m)
	f.Add(b[:len(b)-seal.SignatureLen])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := ParseList(body, m.PublicKey()); err == nil {
			t.Error("a list without a signature is believed")
		}
		if len(body) < listHead+2 {
			return
		}
		key := m.PublicKey()
		copy(body[1:9], key[:])
		l, err := parseSigned(body, key)
		if err != nil {
			return
		}
		if again, err := l.encode(key); err != nil || !bytes.Equal(again[9:], body[9:]) {
			t.Errorf("got %x, %v, want %x", again, err, body)
		}
	})
}

func TestUsersHaveOneSpelling(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"all": "all", "7": "7", "1-50,77": "1-50,77", "77,1-50": "1-50,77", "3,1,2": "1-3", "1-5,2-3": "1-5", "0-4294967295": "all",
		"5-9,1-20": "1-20", "4294967295,0": "0,4294967295",
	} {
		u, err := ParseUsers(in)
		if err != nil || u.String() != want {
			t.Errorf("%s: got %s, %v, want %s", in, u, err, want)
		}
	}
	for _, in := range []string{"", ",", "1,", "-1", "1-", "5-1", "4294967296", "x", "1;2", "ALL"} {
		if u, err := ParseUsers(in); err == nil {
			t.Errorf("%q: got %s, want an error", in, u)
		}
	}
	u, _ := ParseUsers("1-50,77")
	for user, want := range map[uint32]bool{0: false, 1: true, 50: true, 51: false, 77: true, 78: false} {
		if u.Has(user) != want {
			t.Errorf("user %d: got %v", user, !want)
		}
	}
}

func published(t *testing.T, m seal.Master, users string, version uint32) PublishedList {
	t.Helper()
	u, err := ParseUsers(users)
	if err != nil {
		t.Fatal(err)
	}
	l := sampleList(t)
	l.Version = version
	return PublishedList{u, m.PublicKey(), l, mustSign(t, l, m)}
}

// A user gets the list of their group and key, and no other.
func TestAFileGivesEachUserTheirOwnList(t *testing.T) {
	t.Parallel()
	m, older := seal.NewMaster(), seal.NewMaster()
	all := Published{
		published(t, m, "all", 1), published(t, m, "1-50", 2), published(t, m, "77", 3), published(t, older, "1-50", 4),
	}
	got, _, err := ParsePublished(all.Text(), []seal.PublicKey{m.PublicKey(), older.PublicKey()})
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Fatalf("got %v, %v", got, err)
	}
	now := all[0].List.Made()
	for _, c := range []struct {
		key  seal.PublicKey
		user uint32
		want uint32
	}{
		{m.PublicKey(), 7, 2}, {m.PublicKey(), 77, 3}, {m.PublicKey(), 99, 1}, {older.PublicKey(), 7, 4}, {older.PublicKey(), 77, 0},
		{seal.NewMaster().PublicKey(), 7, 0},
	} {
		if signed, version := got.Book().For(c.key, c.user, now); version != c.want || (signed == nil) != (c.want == 0) {
			t.Errorf("user %d: got list %d, want %d", c.user, version, c.want)
		}
	}
	if _, version := got.Book().For(m.PublicKey(), 7, all[1].List.Expires); version != 0 {
		t.Errorf("got list %d, which has expired", version)
	}
}

func TestAFileOfListsIsRefusedInWords(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	keys := []seal.PublicKey{m.PublicKey()}
	line := func(users string) string { return users + " " + ListText(published(t, m, "all", 1).Signed) + "\n" }
	for text, want := range map[string]string{
		"x\n":                               "line 1: a line is",
		"# head\n\nx y\n":                   "line 3: users are",
		"all x\n":                           "line 1: the list of fronts was cut",
		line("all")[:200]:                   "line 1: the list of fronts was cut",
		line("all") + line("all"):           "line 2: a user is in two groups",
		line("1-5") + line("5,9"):           "line 2: a user is in two groups",
		strings.Repeat("#", maxPublished+1): "at most",
	} {
		if _, _, err := ParsePublished(text, keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
	foreign := "all " + ListText(mustSign(t, sampleList(t), seal.NewMaster())) + "\n"
	if all, others, err := ParsePublished(foreign+foreign, keys); err != nil || len(all) > 0 || others != 2 {
		t.Errorf("of another origin: got %v, %d others, %v", all, others, err)
	}
	if all, _, err := ParsePublished("# nothing\n", keys); err != nil || len(all) > 0 {
		t.Errorf("an empty file: got %v, %v, want nobody told of anything", all, err)
	}
}

// The largest file that an operator can make takes no time to speak of: origins read it while they carry.
func TestALargeFileOfListsIsReadSoon(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	var text strings.Builder
	for g := range 12 {
		var users []string
		for i := range 9000 {
			users = append(users, fmt.Sprint(100_000+26*i+2*g))
		}
		fmt.Fprintf(&text, "%s %s\n", strings.Join(users, ","), ListText(published(t, m, "all", 1).Signed))
	}
	began := time.Now()
	all, _, err := ParsePublished(text.String(), []seal.PublicKey{m.PublicKey()})
	if took := time.Since(began); err != nil || len(all) != 12 || took > 15*time.Second {
		t.Errorf("got %d lists, %v, after %v", len(all), err, took)
	}
	if !all[0].Users.Meets(all[0].Users) || all[0].Users.Meets(all[1].Users) {
		t.Error("a group meets itself and no other of these")
	}
}
