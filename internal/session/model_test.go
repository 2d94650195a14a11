package session

import (
	"math/bits"
	"testing"
)

// The model of a tunnel's one direction: modelBytes of a stream, which a sender keeps
// until they are acked and frames anew, in any cut, over carriers that die at either end
// first, and at the gateway door reorder and repeat. The search takes every order of
// every step, so that what it does not find is not there, within these sizes.
const (
	modelBytes    = 5
	modelCarriers = 3
)

// A rule that is left out must be missed: each has a fault that the search finds.
type rule int

const (
	none           rule = iota
	resend              // what a dead carrier took and is not acked is framed anew
	trim                // the receiver takes what is new of a frame that overlaps
	once                // and nothing of it twice
	inOrder             // it writes what follows on what it has written
	ackIsWritten        // an ack is of what was written, so that the sender keeps the rest
	newestUse           // an older Use is ignored
	keepUntilAcked      // the sender keeps what it has sent
)

// modelState is comparable: the search visits each once.
type modelState struct {
	written  uint8 // bytes that the stream has been given
	held     uint8 // set of positions that came early
	acked    uint8 // as far as the sender knows
	ack      uint8 // the highest that was said, and may arrive by any carrier at any time
	sentBy   [modelBytes]uint8
	flight   [modelCarriers][modelBytes]uint8 // flight[c][i] is the length of a frame at i; 0: none
	nearDead uint8                            // carriers that are dead at the receiver
	farDead  uint8                            // at the sender
	use      uint8                            // carrier of the newest Use that came, 1 on
	uses     uint8                            // carriers whose Use is under way
	lost     bool                             // a byte is where nobody sends it from
	wrong    bool                             // a byte came twice or out of order
}

func has(set, c uint8) bool { return set>>(c-1)&1 == 1 }

func (s modelState) next(without rule) (all []modelState) {
	for c := uint8(1); c <= modelCarriers; c++ {
		if has(s.uses, c) && !has(s.farDead, c) {
			all = append(all, s.useCame(c, without))
		}
		if !has(s.nearDead, c) {
			all = append(all, s.dies(c))
			for i := range uint8(modelBytes) {
				if s.flight[c-1][i] > 0 {
					all = append(all, s.comes(c, i, true, without), s.comes(c, i, false, without))
				}
			}
		}
		if !has(s.farDead, c) && has(s.nearDead, c) {
			all = append(all, s.diesFar(c, without))
		}
	}
	if s.use > 0 && !has(s.farDead, s.use) {
		all = append(all, s.sends(without)...)
	}
	if s.acked < s.ack {
		all = append(all, s.ackComes())
	}
	return all
}

// sends frames any run of bytes that no living carrier has taken.
func (s modelState) sends(without rule) (all []modelState) {
	for i := s.acked; i < modelBytes; i++ {
		if s.sentBy[i] != 0 {
			continue
		}
		for n := uint8(1); i+n <= modelBytes && s.sentBy[i+n-1] == 0; n++ {
			t := s
			for k := i; k < i+n; k++ {
				t.sentBy[k] = s.use
			}
			if !has(s.nearDead, s.use) {
				t.flight[s.use-1][i] = max(n, s.flight[s.use-1][i])
			}
			all = append(all, t)
		}
		break // in order, from the first that is to be sent
	}
	return all
}

func (s modelState) comes(c, i uint8, last bool, without rule) modelState {
	n := s.flight[c-1][i]
	if last { // else it comes again
		s.flight[c-1][i] = 0
	}
	end := i + n
	switch {
	case without == trim && i < s.written:
		return s // dropped whole
	case without == once && i < s.written:
		s.wrong = true
	case without == inOrder && i > s.written:
		s.wrong = true
	}
	for k := max(i, s.written); k < end; k++ {
		s.held |= 1 << k
	}
	for s.held>>s.written&1 == 1 {
		s.written++
	}
	if s.ack = max(s.ack, s.written); without == ackIsWritten {
		s.ack = max(s.ack, uint8(bits.Len8(s.held)))
	}
	return s
}

// dies at the receiver, which names another if there is one.
func (s modelState) dies(c uint8) modelState {
	s.nearDead |= 1 << (c - 1)
	s.flight[c-1] = [modelBytes]uint8{}
	if c < modelCarriers && !has(s.nearDead, c+1) {
		s.uses |= 1 << c
	}
	return s
}

// diesFar at the sender, which hears of it later: what the carrier took is to be sent anew.
func (s modelState) diesFar(c uint8, without rule) modelState {
	s.farDead |= 1 << (c - 1)
	s.uses &^= 1 << (c - 1)
	for i := range s.sentBy {
		if s.sentBy[i] == c && uint8(i) >= s.acked && without != resend {
			if s.sentBy[i] = 0; without == keepUntilAcked {
				s.lost = true
			}
		}
	}
	return s
}

func (s modelState) useCame(c uint8, without rule) modelState {
	s.uses &^= 1 << (c - 1)
	if c > s.use || without == newestUse {
		s.use = c
	}
	return s
}

func (s modelState) ackComes() modelState {
	s.acked = s.ack
	return s
}

// stuck: nothing is under way any more, a carrier lives that both ends use, and bytes are missing.
func (s modelState) stuck(steps int) bool {
	return steps == 0 && s.written < modelBytes
}

// search reports the first fault; deaths alone end carriers, so the last is kept alive.
func search(without rule) (fault string, states int) {
	first := modelState{use: 1}
	seen := map[modelState]bool{first: true}
	for queue := []modelState{first}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		n := 0
		for _, t := range s.next(without) {
			if has(t.nearDead, modelCarriers) {
				continue // the last carrier lives
			}
			if t.wrong || t.lost || t.acked > t.written && without == ackIsWritten {
				return "a byte came twice, out of order, or was not kept", len(seen)
			}
			if t != s && t.nearDead == s.nearDead { // a death at the receiver is no progress
				n++
			}
			if !seen[t] {
				seen[t] = true
				queue = append(queue, t)
			}
		}
		if s.nearDead == 1<<(modelCarriers-1)-1 && s.stuck(n) {
			return "a byte is lost", len(seen)
		}
	}
	return "", len(seen)
}

func TestModelOfATunnel(t *testing.T) {
	fault, states := search(none)
	if fault != "" || states < 10000 {
		t.Errorf("%q after %d states", fault, states)
	}
	for r := resend; r <= keepUntilAcked; r++ {
		if fault, states := search(r); fault == "" {
			t.Errorf("rule %d can be left out: %d states and no fault", r, states)
		} else {
			t.Logf("without rule %d: %s", r, fault)
		}
	}
}
