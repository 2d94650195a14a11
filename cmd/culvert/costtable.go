package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"culvert/internal/cost"
	"culvert/internal/term"
)

// print writes the estimate for people: one month with what it uses, several
// side by side.
func (e costEstimate) print(w io.Writer, firstYear bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A month on AWS in dollars: origin in %s, users in %s\n\n", e.Region, e.Edge)
	if len(e.Months) == 1 {
		monthTable(&b, e.Months[0])
	} else {
		monthsTable(&b, e.Months)
	}
	e.marginalTable(&b)
	b.WriteString("\nAssumed\n")
	for _, text := range e.assumed(firstYear) {
		point(&b, text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func monthTable(b *strings.Builder, m cost.Month) {
	fmt.Fprintf(b, "  %s users, %s\n", thousands(m.Users), layout(m))
	billTable(b, m.Lines, m.Total)
	if m.Users > 0 {
		fmt.Fprintf(b, "  %-26s%52s\n", "For each user", smallDollars(m.PerUser))
	}
	fmt.Fprintf(b, "  %-26s%52s\n", "Of it without traffic", dollars(m.Idle))
}

// layout is what the origin of m runs on.
func layout(m cost.Month) string {
	return fmt.Sprintf("%s of %d × %s", m.Topology, m.Instances, m.Instance)
}

// billTable writes lines with their amounts, and the total.
func billTable(b *strings.Builder, lines []cost.Line, total float64) {
	for _, l := range lines {
		fmt.Fprintf(b, "  %-30s%20s %-14s%13s\n", l.Item, amount(l.Units), l.Unit, dollars(l.Dollars))
	}
	fmt.Fprintf(b, "  %-30s%48s\n", "In all", dollars(total))
}

func monthsTable(b *strings.Builder, months []cost.Month) {
	row(b, "Users", months, func(m cost.Month) string { return thousands(m.Users) })
	row(b, "Topology", months, func(m cost.Month) string { return string(m.Topology) })
	row(b, "Instances", months, func(m cost.Month) string { return fmt.Sprintf("%d × %s", m.Instances, m.Instance) })
	for _, item := range cost.Items {
		used := func(l cost.Line) bool { return l.Item == item }
		if !slices.ContainsFunc(months, func(m cost.Month) bool { return slices.ContainsFunc(m.Lines, used) }) {
			continue
		}
		row(b, string(item), months, func(m cost.Month) string {
			if i := slices.IndexFunc(m.Lines, used); i >= 0 {
				return dollars(m.Lines[i].Dollars)
			}
			return "–"
		})
	}
	row(b, "In all", months, func(m cost.Month) string { return dollars(m.Total) })
	row(b, "For each user", months, func(m cost.Month) string { return smallDollars(m.PerUser) })
	row(b, "Of it without traffic", months, func(m cost.Month) string { return dollars(m.Idle) })
}

// row is a line of monthsTable.
func row(b *strings.Builder, name string, months []cost.Month, text func(cost.Month) string) {
	fmt.Fprintf(b, "  %-29s", name)
	for _, m := range months {
		fmt.Fprintf(b, "%16s", text(m))
	}
	b.WriteString("\n")
}

// marginalTable compares the doors.
func (e costEstimate) marginalTable(b *strings.Builder) {
	fmt.Fprintf(b, "\n%-45s%16s%17s\n", "One more, when nothing is free any longer", "stream door", "gateway door")
	for _, l := range []struct {
		what            string
		stream, gateway float64
	}{
		{"GB to users", e.Stream.Down, e.Gateway.Down},
		{"GB from users, and on to WhatsApp", e.Stream.Up, e.Gateway.Up},
		{"connection, idle all month", e.Stream.Idle, e.Gateway.Idle},
		{fmt.Sprintf("user of %s MB a month", trimmed(e.Months[0].MBPerUser)), e.Stream.User, e.Gateway.User},
	} {
		fmt.Fprintf(b, "  %-43s%16s%17s\n", l.what, smallDollars(l.stream), smallDollars(l.gateway))
	}
}

// print writes the bill of a recorded day for people.
func (d costDay) print(w io.Writer, firstYear bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The gateway door in %s in dollars, a month of %.1f days like the recorded one\n\n", d.Region, cost.Days)
	billTable(&b, d.Lines, d.Total)
	b.WriteString("\n")
	point(&b, freeText(firstYear))
	point(&b, pricesText())
	_, err := io.WriteString(w, b.String())
	return err
}

// point writes one of several things to say.
func point(b *strings.Builder, text string) {
	fmt.Fprintf(b, "- %s\n", strings.Join(term.Wrap(text, term.TextWidth-2), "\n  "))
}

func dollars(v float64) string { return separated(strconv.FormatFloat(v, 'f', 2, 64)) }

// smallDollars is for what often costs less than a cent.
func smallDollars(v float64) string { return separated(strconv.FormatFloat(v, 'f', 4, 64)) }

// amount shows two digits at least.
func amount(v float64) string {
	digits := 0
	if v < 100 {
		digits = 2
	}
	return separated(strconv.FormatFloat(v, 'f', digits, 64))
}

func thousands(n int) string { return separated(strconv.Itoa(n)) }

// separated has a comma between each three digits before the point.
func separated(number string) string {
	whole, rest, pointed := strings.Cut(number, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if pointed {
		whole += "." + rest
	}
	return whole
}
