package link

import (
	"reflect"
	"testing"

	"culvert/internal/seal"
)

// A link says of each front which door it leads to, and a link without a front
// to the gateway door is no byte longer for that.
func TestEveryFrontKeepsItsDoor(t *testing.T) {
	t.Parallel()
	keys := seal.NewMaster().Client(7)
	var all []Front
	for i, s := range []string{"wss://a.example/;door=stream", "wss://b.example/v1;door=gateway", "wss://a.example/v1;sni=none;door=gateway"} {
		f, err := ParseFront(s)
		if err != nil || f.Gateway != (i > 0) {
			t.Fatalf("%s: got %v, %v", s, f, err)
		}
		if again, err := ParseFront(f.String()); err != nil || !reflect.DeepEqual(again, f) {
			t.Errorf("got %v, %v, want %v", again, err, f)
		}
		all = append(all, f)
		got, err := Parse((&Link{Keys: keys, Fronts: all}).String())
		if err != nil || !reflect.DeepEqual(got.Fronts, all) {
			t.Errorf("got %v, %v, want %v", got, err, all)
		}
	}
}

// A list of doors that names none has another spelling: no list.
func TestALinkHasOneSpellingOfItsDoors(t *testing.T) {
	t.Parallel()
	l := &Link{Keys: seal.NewMaster().Client(1), Fronts: []Front{{Host: "a.example", Path: "/"}}}
	b, err := l.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, doors := range [][2]byte{{0, 0}, {0, 2}} {
		bad := append(append([]byte{}, b[:84]...), 1+countDoors, doors[0], doors[1])
		bad, err := finish(append(bad, b[85:len(b)-checksumLen]...))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(Scheme + encoding.EncodeToString(bad)); err != errRules {
			t.Errorf("doors %v: got %v, %v, want %v", doors, got, err, errRules)
		}
	}
}
