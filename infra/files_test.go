package infra

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/test/cloud/cloudformation"
)

// maxTemplate is CloudFormation's limit for a template that is not in S3, in bytes.
const maxTemplate = 51200

// everyFile hands over each template, the root included.
func everyFile(t *testing.T, do func(t *testing.T, path string, f template)) {
	t.Helper()
	paths, err := filepath.Glob("*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	for _, path := range append(paths, root) {
		f, err := load(path)
		if err != nil {
			t.Fatal(err)
		}
		do(t, path, f)
	}
}

func TestTemplatesAreSmallEnough(t *testing.T) {
	t.Parallel()
	everyFile(t, func(t *testing.T, path string, _ template) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= maxTemplate {
			t.Errorf("%s has %d bytes, want fewer than %d", path, info.Size(), maxTemplate)
		}
	})
}

func TestEachTemplateIsUsed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, topology := range []string{"solo", "fleet"} {
		for _, r := range mustRender(t, home, map[string]string{"Topology": topology}).All() {
			used[filepath.Base(r.Stack.Path)] = true
		}
	}
	everyFile(t, func(t *testing.T, path string, _ template) {
		if !used[filepath.Base(path)] {
			t.Errorf("%s is nested nowhere", path)
		}
	})
}

// What a template declares it uses, so that nobody sets what does nothing.
func TestNothingIsDeclaredInVain(t *testing.T) {
	t.Parallel()
	everyFile(t, func(t *testing.T, path string, f template) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range []string{"Parameters", "Conditions", "Mappings"} {
			for name := range f.Section(section) {
				if strings.Count(string(raw), name) < 2 {
					t.Errorf("%s: %s is used nowhere", path, name)
				}
			}
		}
	})
}

func taggedOrigins(s *stack) (problems []string) {
	for _, r := range append(s.Of(cloudformation.NestedKind), s.Of("AWS::CloudFront::VpcOrigin")...) {
		if r.Properties["Tags"] != nil {
			problems = append(problems, fmt.Sprint(r, " has tags"))
		}
	}
	return problems
}

func namedRoles(s *stack) (problems []string) {
	for _, r := range s.All() {
		for _, name := range []string{"RoleName", "InstanceProfileName", "ManagedPolicyName"} {
			if r.Properties[name] != nil {
				problems = append(problems, fmt.Sprint(r, " has a name, which needs CAPABILITY_NAMED_IAM"))
			}
		}
	}
	return problems
}

func TestWhatIsUnknownTaggedOrNamedIsSeen(t *testing.T) {
	t.Parallel()
	for kind, wrong := range map[string]func(*stack) []string{
		"AWS::EC2::NatGateway":       unknownCosts,
		"AWS::CloudFront::VpcOrigin": taggedOrigins,
		"AWS::IAM::Role":             namedRoles,
	} {
		r := resource{Stack: &stack{}, Kind: kind, Properties: map[string]any{"Tags": []any{"x"}, "RoleName": "x"}}
		if problems := wrong(&stack{Resources: []resource{r}}); len(problems) != 1 {
			t.Errorf("%s: got %q, want one problem", kind, problems)
		}
	}
}

// Tags of the stack would be the VPC origin's, and could not change.
func TestDeployingTagsNothingAndIsAllowedNoMoreThanItNeeds(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("../samconfig.toml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(config)) {
		if strings.HasPrefix(strings.TrimSpace(line), "tags") {
			t.Errorf("samconfig.toml: %s", line)
		}
	}
	if want := `capabilities = "CAPABILITY_IAM CAPABILITY_AUTO_EXPAND"`; !strings.Contains(string(config), want) {
		t.Errorf("samconfig.toml lacks %s", want)
	}
}
