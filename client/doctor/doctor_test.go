package doctor_test

import (
	"strings"
	"testing"

	"culvert/client/doctor"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/whatsapp"
	"culvert/test/local/localtest"
)

// statuses is "hop=status" for all hops behind the link.
func statuses(r doctor.Report) string {
	var all []string
	for _, c := range r.Checks {
		all = append(all, string(c.Hop)+"="+string(c.Status))
	}
	return strings.Join(all, " ")
}

const allPassed = "link=ok network=ok tls=ok gate=ok origin=ok chat=ok media_down=ok media_up=ok"

func TestDoctorSaysWhichHopFails(t *testing.T) {
	t.Parallel()
	r := localtest.Open(t)
	good := r.Link.Fronts[0]
	unpinned := good
	unpinned.Pins = []link.Pin{{1}}
	stranger := seal.NewMaster().Client(1)
	for name, c := range map[string]struct {
		link *link.Link
		ok   bool
		want string
	}{
		"a front that is down": {&link.Link{Keys: r.Link.Keys, Fronts: []link.Front{localtest.DeadFront(t)}}, false,
			"link=ok network=failed tls=skipped gate=skipped origin=skipped chat=skipped media_down=skipped media_up=skipped"},
		"another certificate": {&link.Link{Keys: r.Link.Keys, Fronts: []link.Front{unpinned}}, false,
			"link=ok network=ok tls=failed gate=skipped origin=skipped chat=skipped media_down=skipped media_up=skipped"},
		"keys of another origin": {&link.Link{Keys: stranger, Fronts: []link.Front{good}}, false,
			"link=ok network=ok tls=ok gate=failed origin=skipped chat=skipped media_down=skipped media_up=skipped"},
		"one front of two": {&link.Link{Keys: r.Link.Keys, Fronts: []link.Front{localtest.DeadFront(t), good}}, true,
			"link=ok network=failed tls=skipped gate=skipped origin=skipped chat=skipped media_down=skipped media_up=skipped " +
				strings.TrimPrefix(allPassed, "link=ok ")},
	} {
		t.Run(name, func(t *testing.T) {
			got := doctor.Examine(t.Context(), c.link, nil, r.Trust, doctor.Silent{})
			if err := got.Judge(true); err == nil {
				t.Error("got no error, want one, as every front was to work")
			}
			if err := got.Judge(false); (err == nil) != c.ok {
				t.Errorf("got %v, want an error: %v", err, !c.ok)
			}
			if s := statuses(*got); s != c.want || got.OK != c.ok {
				t.Errorf("got %v, %s\nwant %v, %s", got.OK, s, c.ok, c.want)
			}
			for _, one := range got.Checks {
				if one.Status == doctor.Failed && (one.Problem == "" || one.Try == "") {
					t.Errorf("got %+v, want what is wrong and what to try", one)
				}
			}
		})
	}
}

func TestDoctorSaysThatTheOriginCannotReachWhatsApp(t *testing.T) {
	t.Parallel()
	r := localtest.Offline(t)
	got := doctor.Examine(t.Context(), r.Link, nil, r.Trust, doctor.Silent{})
	for _, c := range got.Checks[5:] {
		if c.Status != doctor.Failed || c.Problem != "the origin cannot reach WhatsApp" || !strings.Contains(c.Try, "--direct") {
			t.Errorf("got %+v, want that the origin's way ends", c)
		}
	}
}

func TestDoctorAsksDirectly(t *testing.T) {
	t.Parallel()
	r := localtest.Open(t)
	u := &whatsapp.Upstream{Chat: r.Upstream.Chat, Media: r.Upstream.Media, AllowPrivate: true}
	got := doctor.ExamineDirect(t.Context(), u, r.Trust, doctor.Silent{})
	if err := got.Judge(true); err != nil || !got.OK || got.Mode != "direct" || statuses(*got) != "chat=ok media_down=ok media_up=ok" {
		t.Errorf("got %+v, want all passed", got)
	}
}
