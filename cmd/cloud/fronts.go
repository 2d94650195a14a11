package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// front is a distribution. Its number is the template's and stays with its
// name, also when one before it is withdrawn.
type front struct {
	number int
	name   string
}

func (f front) String() string { return fmt.Sprintf("front %d (%s)", f.number, f.name) }

// fronts are the distributions that there are.
func (s stack) fronts() (all []front) {
	names := strings.Fields(s.output("Fronts"))
	numbers := frontNumbers(s.parameter("Distributions"), s.parameter("Withdrawn"))
	for i, name := range names {
		f := front{i + 1, name}
		if len(numbers) == len(names) {
			f.number = numbers[i]
		}
		all = append(all, f)
	}
	return all
}

// frontNumbers are those that the template makes for these two parameters.
func frontNumbers(distributions, withdrawn string) (all []int) {
	n, _ := strconv.Atoi(distributions) // of a stack that does not say it, none
	for number := 1; number <= n; number++ {
		if !strings.Contains(withdrawn, strconv.Itoa(number)) {
			all = append(all, number)
		}
	}
	return all
}

// agreeToRemove asks before names go that were handed out: no other
// distribution ever gets them again.
func (c *cloud) agreeToRemove(s stack) error {
	if !c.gives("Distributions") && !c.gives("Withdrawn") {
		return nil
	}
	stay := frontNumbers(c.chosen("Distributions", s), c.chosen("Withdrawn", s))
	for _, f := range s.fronts() {
		if slices.Contains(stay, f.number) {
			continue
		}
		if !c.ask(fmt.Sprintf("This removes %s for ever; links that hold no other front end. Go ahead?", f)) {
			return advise("To go ahead, add YES=1. To keep it, deploy with Distributions and Withdrawn as they are: make status shows the fronts.",
				"these settings would remove %s; nothing was changed", f)
		}
	}
	return nil
}

// frontNames are those that a link is to hold: all, or the one that was chosen.
func (c *cloud) frontNames(s stack) (names []string, err error) {
	all := s.fronts()
	for _, f := range all {
		if c.front == 0 || c.front == f.number {
			names = append(names, f.name)
		}
	}
	if c.front > 0 && len(names) == 0 {
		return nil, advise(fmt.Sprintf("It has %d, which make status shows; more are made with: make deploy DISTRIBUTIONS=n", len(all)),
			"the deployment has no front %d", c.front)
	}
	return names, nil
}
