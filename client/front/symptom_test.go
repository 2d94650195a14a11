package front

import (
	"testing"
	"testing/synctest"
)

func TestAnErrorShowsItsSymptom(t *testing.T) {
	t.Parallel()
	n := &fakeNet{
		alive: map[string]site{"192.0.2.1:443": {does: isSilent}, "192.0.2.2:443": {does: resets}, "192.0.2.3:443": {does: isAnother}, "192.0.2.5:443": {does: isSilentInTLS}},
		dead:  map[string]bool{"192.0.2.4:443": true},
	}
	for dial, want := range map[string]struct {
		step    Step
		symptom Symptom
	}{
		"192.0.2.1:443": {StepTLS, Silence}, "192.0.2.2:443": {StepTLS, Cut}, "192.0.2.3:443": {StepTLS, Certificate},
		"192.0.2.4:443": {StepConnect, Refusal}, "192.0.2.9:443": {StepConnect, Silence}, "none.example:443": {StepConnect, NoName},
		"192.0.2.5:443": {StepUpgrade, Silence},
	} {
		synctest.Test(t, func(t *testing.T) {
			err := open(t, n.dialer(), pinnedTo("front.example", dial))
			step, ok := err.(*Error)
			if !ok || step.Step() != want.step || SymptomOf(err) != want.symptom {
				t.Errorf("%s: got %v, symptom %d, want %s, %d", dial, err, SymptomOf(err), want.step, want.symptom)
			}
		})
	}
}

// Whoever examines a way is told that it passes small ClientHellos alone.
func TestAWaySaysThatLargeHellosWereReset(t *testing.T) {
	t.Parallel()
	for does, want := range map[behaviour]bool{greets: false, resetsLarge: true} {
		synctest.Test(t, func(t *testing.T) {
			n := &fakeNet{alive: map[string]site{"192.0.2.1:443": {does: does}}}
			way, err := openWay(t, n.dialer(), pinnedTo("front.example", "192.0.2.1:443"))
			if err != nil || way.Small != want {
				t.Errorf("got %v, %v, want small %v", way.Small, err, want)
			}
		})
	}
}
