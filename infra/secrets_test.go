package infra

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"culvert/test/cloud/cloudformation"
)

// reference is a dynamic reference to a secret: where it stands the secret will be.
const reference = "{{resolve:"

// mayHold are the places where the gate's secret may stand, for those that admit.
func mayHold(r resource, path string) bool {
	return r.Kind == "AWS::Serverless::Function" && path == "Environment.Variables.CULVERT_GATE" ||
		r.Kind == "AWS::CloudFront::Function" && path == "FunctionCode"
}

// places calls do with each text in v and with the path to it.
func places(v any, path string, do func(path, text string)) {
	switch v := v.(type) {
	case string:
		do(path, v)
	case []any:
		for _, e := range v {
			places(e, path, do)
		}
	case map[string]any:
		for key, e := range v {
			places(e, strings.TrimPrefix(path+"."+key, "."), do)
		}
	}
}

func misplacedSecrets(s *stack) (problems []string) {
	for _, r := range s.All() {
		places(r.Properties, "", func(path, text string) {
			if strings.Contains(text, reference) && (!mayHold(r, path) || strings.Contains(text, "Master")) {
				problems = append(problems, fmt.Sprintf("%s: %s holds a secret", r, path))
			}
		})
	}
	places(s.Outputs, "", func(path, text string) {
		if strings.Contains(text, reference) {
			problems = append(problems, fmt.Sprintf("the output %s holds a secret", path))
		}
	})
	return problems
}

func TestMisplacedSecretsAreSeen(t *testing.T) {
	t.Parallel()
	gate := "{{resolve:secretsmanager:Gate}}"
	for _, r := range []resource{
		{Kind: "AWS::EC2::LaunchTemplate", Properties: map[string]any{"LaunchTemplateData": map[string]any{"UserData": gate}}},
		{Kind: cloudformation.NestedKind, Properties: map[string]any{"Parameters": map[string]any{"Gate": gate}}},
		{Kind: "AWS::CloudFront::Function", Properties: map[string]any{"FunctionCode": "{{resolve:secretsmanager:OddMaster}}"}},
		{Kind: "AWS::SSM::Association", Properties: map[string]any{"Parameters": map[string]any{"commands": []any{gate}}}},
	} {
		r.Stack = &stack{}
		if problems := misplacedSecrets(&stack{Resources: []resource{r}}); len(problems) != 1 {
			t.Errorf("%s: got %q, want one problem", r.Kind, problems)
		}
	}
	if problems := misplacedSecrets(&stack{Outputs: map[string]any{"Gate": gate}}); len(problems) != 1 {
		t.Errorf("an output: got %q, want one problem", problems)
	}
}

func TestNoParameterIsASecret(t *testing.T) {
	t.Parallel()
	everyFile(t, func(t *testing.T, path string, f template) {
		for name, p := range f.Section("Parameters") {
			if at(p, "NoEcho") != nil || strings.HasPrefix(text(at(p, "Type")), "AWS::SSM") {
				t.Errorf("%s: %s", path, name)
			}
		}
	})
}

// secretsOf maps each secret of a generation to its name; AWS makes a secret
// anew when its name changes, and only then.
func secretsOf(t *testing.T, generation int) (names map[string]string, s *stack) {
	t.Helper()
	s = mustRender(t, home, map[string]string{"Generation": fmt.Sprint(generation)})
	names = map[string]string{}
	for _, r := range s.Of("AWS::SecretsManager::Secret") {
		names[fmt.Sprintf("<%s>", r)] = text(r.Properties["Name"])
		if made := object(r.Properties["GenerateSecretString"]); made["PasswordLength"] != "64" || made["ExcludePunctuation"] != true {
			t.Errorf("%s is made by %v", r, made)
		}
	}
	return names, s
}

// The one before stays as it is, the current one is new, and older ones end.
func TestRotationKeepsTheLastSecretsAndMakesNewOnes(t *testing.T) {
	t.Parallel()
	for generation := 1; generation < 60; generation++ {
		was, before := secretsOf(t, generation)
		is, after := secretsOf(t, generation+1)
		for _, kind := range []string{"Master", "Gate"} {
			last := text(before.Nested["Secrets"].Outputs[kind])
			current := text(after.Nested["Secrets"].Outputs[kind])
			both := text(after.Nested["Secrets"].Outputs[kind+"s"])
			if is[last] != was[last] || is[last] == "" {
				t.Errorf("%s %d: got %q after a rotation, was %q", kind, generation, is[last], was[last])
			}
			if is[current] == was[current] || current == last || both != current+" "+last {
				t.Errorf("%s %d: got %q with the current one first, last %q, current %q", kind, generation, both, last, current)
			}
		}
		if len(is) != 4 {
			t.Errorf("got %d secrets, want 4", len(is))
		}
	}
}

func TestFunctionsAndGateTakeTheNewestSecretFirst(t *testing.T) {
	t.Parallel()
	for generation, want := range map[string]string{
		"1": "{{resolve:secretsmanager:<culvert-Secrets.OddGate>}}",
		"2": "{{resolve:secretsmanager:<culvert-Secrets.EvenGate>}} {{resolve:secretsmanager:<culvert-Secrets.OddGate>}}",
		"3": "{{resolve:secretsmanager:<culvert-Secrets.OddGate>}} {{resolve:secretsmanager:<culvert-Secrets.EvenGate>}}",
	} {
		s := mustRender(t, home, map[string]string{"Generation": generation})
		for _, f := range s.Of("AWS::Serverless::Function") {
			if got := at(f.Properties, "Environment", "Variables", "CULVERT_GATE"); got != want {
				t.Errorf("generation %s: %s has %v, want %s", generation, f, got, want)
			}
		}
		if code := text(only(t, s, "AWS::CloudFront::Function").Properties["FunctionCode"]); !strings.Contains(code, "'"+want+"'") {
			t.Errorf("generation %s: gate.js does not have %s", generation, want)
		}
	}
}

// Whoever has the template's outputs may show them.
func TestOutputsAreTheseAndNoMore(t *testing.T) {
	t.Parallel()
	want := []string{"Api", "Budget", "Fronts", "FrontsParameter", "Gateway", "GateSecret", "Generation", "MasterSecret", "MasterSecrets", "Origin", "RevokedParameter", "Topology"}
	got := []string{}
	for name := range mustRender(t, home, nil).Outputs {
		got = append(got, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
