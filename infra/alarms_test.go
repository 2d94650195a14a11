package infra

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"culvert/internal/cost"
)

// trackers are the alarms that Auto Scaling makes for a policy of ours.
const trackers = 2

// watched counts the metrics that alarms watch: AWS charges for each.
func watched(s *stack) (n int) {
	for _, r := range s.Of("AWS::CloudWatch::Alarm") {
		if r.Properties["MetricName"] != nil {
			n++
		}
		for _, m := range list(r.Properties["Metrics"]) {
			if at(m, "MetricStat") != nil {
				n++
			}
		}
	}
	return n + trackers*len(s.Of("AWS::AutoScaling::ScalingPolicy"))
}

func TestAlarmsAreNoMoreThanTheEstimateSays(t *testing.T) {
	t.Parallel()
	for _, topology := range []string{"solo", "fleet"} {
		for distributions, n := range map[string]float64{"1": 1, "8": 8} {
			s := mustRender(t, home, map[string]string{"Topology": topology, "Distributions": distributions})
			if got, want := float64(watched(s)), cost.Usual().Alarms+n; got > want || got < n {
				t.Errorf("%s with %s distributions: got %v metrics, want at most %v", topology, distributions, got, want)
			}
		}
	}
}

// Where one metric of a sum has no data, the sum has none: a function that
// nobody calls would hide that another one fails.
func TestSumsOfMetricsHaveNoGaps(t *testing.T) {
	t.Parallel()
	filled := regexp.MustCompile(`FILL\((\w+), 0\)`)
	for _, r := range mustRender(t, home, nil).Of("AWS::CloudWatch::Alarm") {
		var ids, found []string
		for _, m := range list(r.Properties["Metrics"]) {
			if at(m, "MetricStat") != nil {
				ids = append(ids, text(at(m, "Id")))
			}
			for _, match := range filled.FindAllStringSubmatch(text(at(m, "Expression")), -1) {
				found = append(found, match[1])
			}
		}
		if !slices.Equal(found, ids) {
			t.Errorf("%s: fills the gaps of %v, want %v", r, found, ids)
		}
	}
}

func TestProcessorTimeThatCostsExtraRings(t *testing.T) {
	t.Parallel()
	for topology, of := range map[string]string{"solo": "<culvert-SoloA.Instance>", "fleet": "<culvert-Fleet.Group>"} {
		s := mustRender(t, home, map[string]string{"Topology": topology, "AlarmEmail": "a@example.com"})
		if !slices.ContainsFunc(s.Of("AWS::CloudWatch::Alarm"), func(r resource) bool {
			dimensions := list(r.Properties["Dimensions"])
			return r.Properties["MetricName"] == "CPUSurplusCreditsCharged" && len(dimensions) == 1 &&
				at(dimensions[0], "Value") == of && len(list(r.Properties["AlarmActions"])) == 1
		}) {
			t.Errorf("%s: no alarm tells of %s", topology, of)
		}
	}
}

// AWS restarts and moves instances for alarms of exactly these kinds.
func TestAlarmsThatActAreOnWhatAWSActsUpon(t *testing.T) {
	t.Parallel()
	metrics := map[string]string{"recover": "StatusCheckFailed_System", "reboot": "StatusCheckFailed_Instance"}
	for _, r := range mustRender(t, home, nil).Of("AWS::CloudWatch::Alarm") {
		for _, action := range list(r.Properties["AlarmActions"]) {
			_, verb, acts := strings.Cut(text(action), ":automate:us-east-1:ec2:")
			if !acts {
				continue
			}
			if got := r.Properties["MetricName"]; got != metrics[verb] {
				t.Errorf("%s for %v, want %s", verb, got, metrics[verb])
			}
			delete(metrics, verb)
		}
	}
	if len(metrics) > 0 {
		t.Errorf("no alarm acts for %v", metrics)
	}
}
