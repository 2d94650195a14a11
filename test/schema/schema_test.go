// Package schema compares the schemas of what our programs print for others (docs/schema) with the types that
// they print.
package schema

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"culvert/client/doctor"
	"culvert/client/household"
)

// node is as much of a schema as ours say.
type node struct {
	Type       any             `json:"type"` // a name, or a list of names
	Const      any             `json:"const"`
	Enum       []string        `json:"enum"`
	Properties map[string]node `json:"properties"`
	Required   []string        `json:"required"`
	Items      *node           `json:"items"`
	Ref        string          `json:"$ref"`
	Defs       map[string]node `json:"$defs"`
}

// printed are the schemas, and the types whose JSON they describe.
var printed = map[string]reflect.Type{
	"doctor": reflect.TypeFor[doctor.Report](),
	"status": reflect.TypeFor[struct {
		Version int               `json:"version"`
		OK      bool              `json:"ok"`
		Clients []household.State `json:"clients"`
	}](),
}

func TestSchemasDescribeWhatIsPrinted(t *testing.T) {
	t.Parallel()
	for name, of := range printed {
		data, err := os.ReadFile("../../docs/schema/" + name + ".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		var root node
		if err := json.Unmarshal(data, &root); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compare(t, name, root, root.Defs, of)
	}
}

// compare wants a property for each field, none that no field has, and those required that are always printed.
func compare(t *testing.T, at string, n node, defs map[string]node, of reflect.Type) {
	t.Helper()
	if n.Ref != "" {
		n = defs[strings.TrimPrefix(n.Ref, "#/$defs/")]
	}
	if of.Kind() == reflect.Slice {
		if n.Items == nil {
			t.Errorf("%s: got no items, want those of %v", at, of)
			return
		}
		compare(t, at+"[]", *n.Items, defs, of.Elem())
		return
	}
	if of.Kind() != reflect.Struct || of.PkgPath() == "time" {
		if want := jsonType(of); n.Const == nil && n.Enum == nil && n.Type != want {
			t.Errorf("%s: got type %v, want %s", at, n.Type, want)
		}
		return
	}
	known := map[string]bool{}
	for i := range of.NumField() {
		name, options, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		known[name] = true
		property, ok := n.Properties[name]
		if !ok {
			t.Errorf("%s: %s is printed and not described", at, name)
			continue
		}
		if always := options != "omitempty"; always != slices.Contains(n.Required, name) {
			t.Errorf("%s: %s is required: %v, want %v", at, name, !always, always)
		}
		compare(t, at+"."+name, property, defs, of.Field(i).Type)
	}
	for name := range n.Properties {
		if !known[name] {
			t.Errorf("%s: %s is described and not printed", at, name)
		}
	}
}

func jsonType(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String, reflect.Struct: // a time
		return "string"
	case reflect.Float64:
		return "number"
	}
	return "integer"
}

// A program that branches on a word must know all that there are.
func TestSchemasHaveEachHop(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/schema/doctor.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root node
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	got := root.Defs["check"].Properties["hop"].Enum
	for _, hop := range []doctor.Hop{doctor.Link, doctor.Network, doctor.TLS, doctor.Gate, doctor.Origin, doctor.Path, doctor.Chat,
		doctor.MediaDown, doctor.MediaUp, doctor.Shares} {
		if !slices.Contains(got, string(hop)) {
			t.Errorf("got hops %v, want %s among them", got, hop)
		}
	}
}
