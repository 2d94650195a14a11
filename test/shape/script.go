package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// step is something that one of two says.
type step struct {
	Up   bool          `json:"up"`   // the client does
	Wait time.Duration `json:"-"`    // since the step before
	MS   float64       `json:"wait"` // the same, for a page
	Size int           `json:"size"` // bytes
}

// script is what two say to one another, each when all before has been said. It is drawn by two: what is the same in
// all sessions of a site or user, and what is not.
type script struct {
	steps []step
	once  *rand.Rand // of the site
	r     *rand.Rand // of the session
}

func (s *script) say(up bool, wait time.Duration, size int) {
	s.steps = append(s.steps, step{up, wait, float64(wait.Microseconds()) / 1000, max(size, 1)})
}

// up and down say something of one of the sizes from least to most, small ones as often as large ones, after a time
// that a program takes to answer.
func (s *script) up(least, most int)   { s.say(true, s.soon(), logarithmic(s.r, least, most)) }
func (s *script) down(least, most int) { s.say(false, s.soon(), logarithmic(s.r, least, most)) }

// upOf and downOf say what has the same size in all sessions of a site, but for a number or name in it.
func (s *script) upOf(least, most int)   { s.say(true, s.soon(), s.fixed(least, most)) }
func (s *script) downOf(least, most int) { s.say(false, s.soon(), s.fixed(least, most)) }

func (s *script) fixed(least, most int) int {
	return logarithmic(s.once, least, most) + s.r.IntN(1+s.once.IntN(8))
}

// soon is how long a program takes.
func (s *script) soon() time.Duration {
	return logarithmicly(s.r, 300*time.Microsecond, 30*time.Millisecond)
}

// later is how long a person takes, or another's message.
func (s *script) later(least, most time.Duration) time.Duration {
	return logarithmicly(s.r, least, most)
}

func logarithmicly(r *rand.Rand, least, most time.Duration) time.Duration {
	return time.Duration(logarithmic(r, int(least), int(most)))
}

// logarithmic is a number whose logarithm is evenly drawn.
func logarithmic(r *rand.Rand, least, most int) int {
	return int(float64(least) * math.Pow(float64(most)/float64(least), r.Float64()))
}

// duration is how long all of it takes at least.
func (s *script) duration() (all time.Duration) {
	for _, st := range s.steps {
		all += st.Wait
	}
	return all
}
