package cloudformation

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// head declares what the snippets below refer to.
const head = `
Parameters:
  Word: { Type: String, Default: a-b }
  Words: { Type: CommaDelimitedList, Default: "a,b" }
Mappings:
  M: { us-east-1: { K: v } }
Conditions:
  Yes: !Equals [!Ref Word, a-b]
  No: !Not [!Condition Yes]
Resources:
  There: { Type: AWS::SNS::Topic }
  NotThere: { Type: AWS::SNS::Topic, Condition: No }
`

func renderText(t *testing.T, text string) (*Stack, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Render(path, "s", "us-east-1", nil)
}

func TestFunctionsGiveWhatCloudFormationGives(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]any{
		`!Ref Word`:               "a-b",
		`!Ref Words`:              []any{"a", "b"},
		`!Ref There`:              "<s.There>",
		`!GetAtt There.TopicName`: "<s.There.TopicName>",
		`!Sub "${Word} ${There.TopicName} ${!Word}"`: "a-b <s.There.TopicName> ${Word}",
		`!Sub ["${X}", { X: !Ref "AWS::Region" }]`:   "us-east-1",
		`!Join ["+", [x, !Ref "AWS::NoValue", y]]`:   "x+y",
		`!Select [1, !Split ["-", !Ref Word]]`:       "b",
		`!Select [0, !Split ["z", !Ref Word]]`:       "a-b",
		`!FindInMap [M, !Ref "AWS::Region", K]`:      "v",
		`!If [No, x, y]`:                             "y",
		`[!If [No, x, !Ref "AWS::NoValue"], y]`:      []any{"y"},
		`{ Fn::Base64: hi }`:                         "aGk=",
		`{ a: !If [Yes, !Ref "AWS::NoValue", x] }`:   map[string]any{},
		`1`:    "1",
		`true`: true,
	} {
		s, err := renderText(t, head+"Outputs: { O: { Value: "+expression+" } }")
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := s.Outputs["O"]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", expression, got, want)
		}
	}
}

// What CloudFormation would refuse, or these tests do not know, is an error.
func TestWhatCannotBeRenderedIsRefused(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`!Ref Nobody`:                               "unresolved reference [Nobody]",
		`!Ref NotThere`:                             "not there",
		`!GetAtt NotThere.Arn`:                      "not there",
		`!GetAtt There.Outputs.X`:                   "no nested stack There",
		`!Sub "${Nobody}"`:                          "unresolved reference [Nobody]",
		`!Sub "${Word"`:                             "not closed",
		`!Sub "${Words}"`:                           "is no text",
		`!Select [2, !Split ["-", a-b]]`:            "no element",
		`!FindInMap [M, eu-west-1, K]`:              "findInMap",
		`!If [Maybe, x, y]`:                         `no condition "Maybe"`,
		`!If [Yes, x]`:                              "want 3",
		`!ImportValue x`:                            "no function known",
		`!Transform { Name: x }`:                    "no function known",
		`{ Ref: Word, Other: x }`:                   "does not stand alone",
		`!FindInMap [M, x, K, { DefaultValue: d }]`: "got 4 arguments",
	} {
		if _, err := renderText(t, head+"Outputs: { O: { Value: "+expression+" } }"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", expression, err, want)
		}
	}
	for text, want := range map[string]string{
		"Parameters: { P: { Type: String } }": "[P] must have values",
		"A: 1\nA: 2":                          "twice",
		"A: &a x\nB: *a":                      "anchors",
		"- a":                                 "no mapping",
		"Resources: { N: { Type: AWS::CloudFormation::Stack, Properties: { TemplateURL: none.yaml } } }": "no such file",
	} {
		if _, err := renderText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
