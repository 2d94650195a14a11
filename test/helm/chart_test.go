// Package helm tries the chart of infra/helm by Helm's own code and by Kubernetes' own types. It is a module of its own, as both
// are large.
package helm

import (
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const folder = "../../infra/helm"

// values are a map as Helm reads it from a file.
type values = map[string]any

// whole are values that use all that the chart has.
func whole() values {
	return values{"registry": "registry.example/culvert/", "tag": "1.2.0", "metrics": true, "pullSecrets": []any{"puller"},
		"settings": values{"CULVERT_LOG": "json"}, "drainSeconds": 90, "edge": values{"enabled": true, "tls": "edge-tls"}}
}

// rendered are the chart's objects.
type rendered struct {
	deployments []apps.Deployment
	services    []core.Service
	budgets     []policy.PodDisruptionBudget
	notes       string
}

func render(t *testing.T, v values) (rendered, error) { return renderAs(t, "abroad", v) }

func renderAs(t *testing.T, release string, v values) (rendered, error) {
	t.Helper()
	c, err := loader.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	files, err := files(c, release, v)
	if err != nil {
		return rendered{}, err
	}
	var r rendered
	for name, text := range files {
		if path.Base(name) == "NOTES.txt" {
			r.notes = text
			continue
		}
		for object := range strings.SplitSeq(text, "\n---\n") {
			r.add(t, name, object)
		}
	}
	return r, nil
}

// files are what the templates make of values, by the rules of "helm install".
func files(c *chart.Chart, release string, v values) (map[string]string, error) {
	all, err := chartutil.ToRenderValues(c, v, chartutil.ReleaseOptions{Name: release, Namespace: "relay", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// add reads an object as the Kubernetes type that it is: a field that the type has not is a failure.
func (r *rendered) add(t *testing.T, name, text string) {
	t.Helper()
	var kind meta.TypeMeta
	if strings.TrimSpace(text) == "" {
		return
	}
	if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	var err error
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 Deployment":
		r.deployments, err = decode(r.deployments, text)
	case "v1 Service":
		r.services, err = decode(r.services, text)
	case "policy/v1 PodDisruptionBudget":
		r.budgets, err = decode(r.budgets, text)
	default:
		t.Fatalf("%s: got an object of %s %s", name, kind.APIVersion, kind.Kind)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
}

func decode[T any](before []T, text string) ([]T, error) {
	var object T
	err := yaml.UnmarshalStrict([]byte(text), &object)
	return append(before, object), err
}

func TestHelmFindsNoFault(t *testing.T) {
	t.Parallel()
	for _, m := range lint.All(folder, whole(), "relay", true).Messages {
		if m.Severity > support.InfoSev {
			t.Errorf("%v", m)
		}
	}
}

func mustRender(t *testing.T, v values) rendered { return mustRenderAs(t, "abroad", v) }

func mustRenderAs(t *testing.T, release string, v values) rendered {
	t.Helper()
	r, err := renderAs(t, release, v)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.deployments) == 0 {
		t.Fatal("got no deployment")
	}
	return r
}

func TestNoPodHasMoreRightsThanItNeeds(t *testing.T) {
	t.Parallel()
	for _, d := range mustRender(t, whole()).deployments {
		pod := d.Spec.Template.Spec
		if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: got %+v, want a user without rights, and seccomp's filter", d.Name, s)
		}
		if *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
			t.Errorf("%s: got the cluster's token or its services' variables, want neither", d.Name)
		}
		for _, c := range pod.Containers {
			if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
				t.Errorf("%s: got %+v, want a read-only system and no capability", d.Name, s)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
				t.Errorf("%s: got %+v, want bounds", d.Name, c.Resources)
			}
		}
	}
}

func env(c core.Container) map[string]string {
	all := map[string]string{}
	for _, e := range c.Env {
		all[e.Name] = e.Value
	}
	return all
}

func TestKubernetesKillsNobodyWhoDrains(t *testing.T) {
	t.Parallel()
	for _, d := range mustRender(t, whole()).deployments {
		pod := d.Spec.Template.Spec
		c := pod.Containers[0]
		drain, err := time.ParseDuration(env(c)["CULVERT_DRAIN"])
		if err != nil || drain != 90*time.Second {
			t.Errorf("%s: got %v to drain, %v, want 90 s", d.Name, drain, err)
		}
		away := time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; away < 5*time.Second || grace < away+drain+5*time.Second {
			t.Errorf("%s: got %v to end, for %v until nobody comes and %v to drain, want more", d.Name, grace, away, drain)
		}
		health := []string{"/" + c.Name, "health"}
		if !slices.Equal(c.ReadinessProbe.Exec.Command, health) || !slices.Equal(c.StartupProbe.Exec.Command, health) {
			t.Errorf("%s: got %v and %v, want %v", d.Name, c.ReadinessProbe, c.StartupProbe, health)
		}
		// It may say that it is not well for what no new process mends.
		if c.LivenessProbe.Exec != nil {
			t.Errorf("%s: got %v, want no more than that it answers", d.Name, c.LivenessProbe)
		}
		if u := d.Spec.Strategy.RollingUpdate; u.MaxUnavailable.IntValue() != 0 || u.MaxSurge.IntValue() == 0 {
			t.Errorf("%s: got %+v, want a new one before an old one goes", d.Name, u)
		}
	}
}

// What the chart sets, settings cannot, as Kubernetes takes the last of two: a drain of which the chart does not know would be cut short.
func TestSettingsCannotBeThoseOfTheChart(t *testing.T) {
	t.Parallel()
	v := whole()
	v["settings"] = values{}
	behindCDN := whole()
	delete(behindCDN, "edge")
	behindCDN["settings"], behindCDN["origin"] = values{}, values{"tls": "origin-tls"}
	for _, d := range slices.Concat(mustRender(t, v).deployments, mustRender(t, behindCDN).deployments) {
		for name := range env(d.Spec.Template.Spec.Containers[0]) {
			over := whole()
			over["settings"] = values{name: "1"}
			if _, err := render(t, over); err == nil || !strings.Contains(err.Error(), "invalid propertyName") {
				t.Errorf("%s with settings.%s: got %v, want it refused", d.Name, name, err)
			}
		}
	}
}

// What strangers and users can have a server keep is less than what it may have. A WebSocket of the edge's has 100 kB at most, a
// stranger's connection 30 kB, a tunnel 10 KiB and a carrier that proves nothing 5 KiB; a third of GOMEMLIMIT is for what is on its way.
func TestMemoryIsEnoughForWhatIsLetIn(t *testing.T) {
	t.Parallel()
	for _, memory := range []int{64, 512, 3000} {
		v := whole()
		v["origin"], v["edge"] = values{"memoryMiB": memory}, values{"enabled": true, "tls": "edge-tls", "memoryMiB": memory}
		for _, d := range mustRender(t, v).deployments {
			c := d.Spec.Template.Spec.Containers[0]
			number := func(name string) int64 {
				n, _ := strconv.ParseInt(strings.TrimSuffix(env(c)[name], "MiB"), 10, 64)
				return n
			}
			least := number("GOMEMLIMIT") << 20
			sum := number("CULVERT_MAX_STRANGERS") * 30e3
			if c.Name == "edge" {
				sum += number("CULVERT_MAX_SOCKETS") * 100e3
			} else {
				sum += number("CULVERT_MAX_TUNNELS")*10<<10 + number("CULVERT_MAX_CARRIERS")/4*5<<10 + least/3
			}
			if limit := c.Resources.Limits.Memory().Value(); sum > least || least > limit*9/10 || sum < least/2 {
				t.Errorf("%s with %d MiB: got %d of %d bytes, of a limit of %d", d.Name, memory, sum, least, limit)
			}
		}
	}
}

// The origin takes the address of a pod in brackets, whatever its family: cmd/origin tries it.
func TestAnAddressOfEitherFamilyIsAdvertised(t *testing.T) {
	t.Parallel()
	for _, d := range mustRender(t, whole()).deployments {
		if at := env(d.Spec.Template.Spec.Containers[0])["CULVERT_ADVERTISE"]; at != "" && at != "[$(POD_IP)]:8090" {
			t.Errorf("got %q, want the address in brackets", at)
		}
	}
}

// Kubernetes' node hands its own address on for a stranger's, but where the node itself has a pod.
func TestStrangersKeepTheirAddresses(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"ClusterIP", "NodePort", "LoadBalancer"} {
		v := whole()
		v["edge"] = values{"enabled": true, "tls": "edge-tls", "service": values{"type": kind}}
		for _, s := range mustRender(t, v).services {
			if local := s.Spec.ExternalTrafficPolicy == core.ServiceExternalTrafficPolicyLocal; local != (s.Spec.Type != core.ServiceTypeClusterIP) {
				t.Errorf("%s, %s: got %q", s.Name, s.Spec.Type, s.Spec.ExternalTrafficPolicy)
			}
		}
	}
}

func TestNamesAreNoLongerThanKubernetesTakes(t *testing.T) {
	t.Parallel()
	for _, release := range []string{"abroad", strings.Repeat("a", 53), "culvert-" + strings.Repeat("b", 45), strings.Repeat("c", 39) + "-" + strings.Repeat("d", 13)} {
		for _, s := range mustRenderAs(t, release, whole()).services {
			if wrong := validation.IsDNS1035Label(s.Name); len(wrong) > 0 {
				t.Errorf("release %s: got %s: %v", release, s.Name, wrong)
			}
		}
	}
}

func TestTheSecretIsNowhereButInItsFile(t *testing.T) {
	t.Parallel()
	for _, d := range mustRender(t, values{"registry": "registry.example", "tag": "1", "secret": "mine"}).deployments {
		pod := d.Spec.Template.Spec
		c := pod.Containers[0]
		at := env(c)["CULVERT_SECRET_FILE"]
		i := slices.IndexFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return strings.HasPrefix(at, m.MountPath+"/") })
		if i < 0 || !c.VolumeMounts[i].ReadOnly || !strings.HasPrefix(at, "/run/secrets/") {
			t.Fatalf("got %s in %v, want it below /run/secrets", at, c.VolumeMounts)
		}
		v := slices.IndexFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == c.VolumeMounts[i].Name })
		if s := pod.Volumes[v].Secret; s == nil || s.SecretName != "mine" || *s.DefaultMode&0o007 != 0 {
			t.Errorf("got %+v, want the Secret, for nobody else to read", pod.Volumes[v])
		}
	}
}

func TestServicesAndBudgetsAreOfTheirPods(t *testing.T) {
	t.Parallel()
	r := mustRender(t, whole())
	if len(r.deployments) != 2 || len(r.services) != 2 || len(r.budgets) != 2 {
		t.Fatalf("got %d, %d and %d objects, want two of each", len(r.deployments), len(r.services), len(r.budgets))
	}
	for _, d := range r.deployments {
		labels := d.Spec.Template.Labels
		i := slices.IndexFunc(r.services, func(s core.Service) bool { return reflect.DeepEqual(s.Spec.Selector, labels) })
		j := slices.IndexFunc(r.budgets, func(b policy.PodDisruptionBudget) bool { return reflect.DeepEqual(b.Spec.Selector.MatchLabels, labels) })
		if i < 0 || j < 0 || !reflect.DeepEqual(d.Spec.Selector.MatchLabels, labels) {
			t.Fatalf("%s: got no service, or no budget, with %v", d.Name, labels)
		}
		target := r.services[i].Spec.Ports[0].TargetPort.String()
		if !slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p core.ContainerPort) bool { return p.Name == target }) {
			t.Errorf("%s: got no port %s", d.Name, target)
		}
		if by := env(d.Spec.Template.Spec.Containers[0])["CULVERT_ORIGIN"]; by != "" && by != "http://"+r.services[1-i].Name+":80" {
			t.Errorf("the edge goes to %s, want %s", by, r.services[1-i].Name)
		}
	}
	if !strings.Contains(r.notes, "kubectl create secret generic culvert-secret --namespace relay") {
		t.Errorf("got %q, want how to make the secret", r.notes)
	}
}

// What the chart gives the servers is in the manual, and so are the settings of others that it lets through.
func TestTheManualNamesEachSetting(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range mustRender(t, whole()).deployments {
		for name := range env(d.Spec.Template.Spec.Containers[0]) {
			if strings.HasPrefix(name, "CULVERT_") && !strings.Contains(string(manual), "`"+name+"`") {
				t.Errorf("%s: the manual has no %s", d.Name, name)
			}
		}
	}
}

func TestValuesThatCannotWorkAreRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]values{
		"":                               {},
		"say where the images are":       {"registry": ""},
		"say which images":               {"tag": ""},
		"an edge needs a certificate":    {"edge": values{"enabled": true, "tls": ""}},
		"leave out origin.tls":           {"origin": values{"tls": "a"}},
		"'/drainSeconds'":                {"drainSeconds": "soon"},
		"'/origin/replicas'":             {"origin": values{"replicas": 0}},
		"'/origin/memoryMiB'":            {"origin": values{"memoryMiB": "512Mi"}},
		"'/origin/service/type'":         {"origin": values{"service": values{"type": "Loadbalancer"}}},
		"additional properties 'sercet'": {"sercet": "culvert-secret"},
		"invalid propertyName":           {"settings": values{"CULVERT_SECRET": "master x"}},
		"'/settings/CULVERT_LOG'":        {"settings": values{"CULVERT_LOG": 1}},
		"'/secret'":                      {"secret": ""},
	} {
		v := whole()
		for name, value := range change {
			v[name] = value
		}
		_, err := render(t, v)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: got %v, want %q", change, err, want)
		}
	}
}
