package cloudformation

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const served = `{"Parameters": {"Words": {"Type": "CommaDelimitedList", "Default": "a,b"}, "N": {"Type": "Number", "Default": 1, "MaxValue": 3}},
	"Conditions": {"No": {"Fn::Equals": [{"Ref": "N"}, "2"]}},
	"Resources": {
		"A": {"Type": "T", "Properties": {"Size": 20, "B": {"Ref": "B"}, "Text": {"Fn::Sub": "${C.Arn} ${AWS::Region} ${D.Outputs.X}"}}},
		"B": {"Type": "T", "DependsOn": ["D"]},
		"C": {"Type": "T", "Condition": "No"},
		"D": {"Type": "T"}},
	"Outputs": {"O": {"Value": {"Fn::GetAtt": ["B", "Arn"]}}, "None": {"Condition": "No", "Value": "x"}}}`

// ask has Serve answer the question, of a stand-in that made "made" of all.
func ask(t *testing.T, more, made string) (answer any, parts []string) {
	t.Helper()
	var out bytes.Buffer
	in := `{"Template": ` + served + `, "Pseudo": {"AWS::Region": "eu-west-1"}, ` + more + "}\n" + strings.Repeat(made, 3)
	Serve(strings.NewReader(in), &out) // what is not asked for is a question that ends it
	for d := json.NewDecoder(&out); ; {
		var line any
		if err := d.Decode(&line); err != nil {
			t.Fatalf("got no answer: %v", err)
		}
		part := Text(At(line, "part"))
		if part == "" {
			return line, parts
		}
		parts = append(parts, part+" "+Text(At(line, "attribute")))
	}
}

func TestAPlanHasWhatThereWillBeInTheOrderToMakeItIn(t *testing.T) {
	t.Parallel()
	answer, _ := ask(t, `"Parameters": {"N": "3"}`, "")
	want := map[string]any{"Parameters": map[string]any{"N": "3", "Words": []any{"a", "b"}},
		"Order": []any{"D", "B", "C", "A"}, "Wanted": []any{"D", "B", "A"}}
	if !reflect.DeepEqual(answer, want) {
		t.Errorf("got %v, want %v", answer, want)
	}
}

func TestWhatAWSMadeUpIsAskedFor(t *testing.T) {
	t.Parallel()
	answer, parts := ask(t, `"Parameters": {"N": "2"}, "Of": "A"`, `{"value": "v"}`)
	if want := map[string]any{"Size": "20", "B": "v", "Text": "v eu-west-1 v"}; !reflect.DeepEqual(answer, want) {
		t.Errorf("got %v, want %v", answer, want)
	}
	slices.Sort(parts)
	if want := []string{"B ", "C Arn", "D Outputs.X"}; !slices.Equal(parts, want) {
		t.Errorf("asked for %q, want %q", parts, want)
	}
	answer, _ = ask(t, `"Outputs": true`, `{"value": "v"}`)
	if want := map[string]any{"O": "v"}; !reflect.DeepEqual(answer, want) {
		t.Errorf("got outputs %v, want %v", answer, want)
	}
}

func TestWhatIsRefusedIsTheAnswer(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{
		`"Parameters": {"N": "4"}`:              "Parameter 'N' must be a number not greater than 3",
		`"Parameters": {"M": "4"}`:              "[M] do not exist",
		`"Parameters": {"N": "2"}, "Of": "A"`:   "no such output",
		`"Parameters": {"N": "x"}, "Of": "Any"`: "must be a number",
	} {
		answer, _ := ask(t, more, `{"refused": "no such output"}`)
		if got := Text(At(answer, "refused")); !strings.Contains(got, want) {
			t.Errorf("%s: got %v, want %q", more, answer, want)
		}
	}
}
