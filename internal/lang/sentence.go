package lang

import (
	"cmp"
	"sort"
	"strings"
	"sync"
)

// maxDepth bounds how deep sentences stand within one another, as in "read link: open it: no such file".
const maxDepth = 8

// joints stand between sentences that were put together: of several things, of one within another, of a list.
var joints = []string{"; ", ": ", ", "}

// ownJoints are those of languages that have others.
var ownJoints = map[Language][]string{
	Persian: {"؛ ", ": ", "، "}, Arabic: {"؛ ", ": ", "، "}, Chinese: {"；", "：", "，"}, Burmese: {"၊ ", ": ", "၊ "},
}

// Comma stands between things of which there are several.
func (l Language) Comma() string {
	if own := ownJoints[l]; own != nil {
		return own[len(own)-1]
	}
	return joints[len(joints)-1]
}

// Sentence is an English sentence in l that some package made of a message, perhaps of several: an error's text, a
// check's. What is not in the catalogue stays as it is, as names, numbers and what systems say do.
func (l Language) Sentence(english string) string {
	if catalogues[l] == nil || len(english) > maxSentence {
		return english
	}
	return l.sentence(english, maxDepth)
}

// maxSentence is the longest sentence that is taken apart: the time that takes grows by a power of its parts.
const maxSentence = 1 << 10

func (l Language) sentence(english string, depth int) string {
	if text, ok := l.find(english); ok || depth == 0 {
		return cmp.Or(text, english)
	}
	for _, p := range patterns() {
		if args, ok := p.match(english); ok {
			for i := range args {
				args[i] = l.sentence(args[i], depth-1)
			}
			text, _ := l.find(p.message)
			return fill(text, args)
		}
	}
	return l.apart(english, depth-1)
}

// apart has each part of a sentence in l, and the sentence as it is if it has none.
func (l Language) apart(english string, depth int) string {
	if text, ok := l.ending(english, depth); ok {
		return text
	}
	for i, joint := range joints {
		parts := strings.SplitN(english, joint, maxParts)
		if len(parts) == 1 {
			continue
		}
		known := false
		for i, part := range parts {
			parts[i] = l.sentence(part, depth)
			known = known || parts[i] != part
		}
		if own := ownJoints[l]; own != nil {
			joint = own[i]
		}
		if known {
			return strings.Join(parts, joint)
		}
	}
	return english
}

// ending has a sentence in l that ends with one of the catalogue, which may have marks of its own within it.
func (l Language) ending(english string, depth int) (string, bool) {
	inner := joints[1]
	for at := strings.Index(english, inner); at >= 0; {
		if text, ok := l.find(english[at+len(inner):]); ok {
			joint := inner
			if own := ownJoints[l]; own != nil {
				joint = own[1]
			}
			return l.sentence(english[:at], depth) + joint + text, true
		}
		next := strings.Index(english[at+1:], inner)
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return "", false
}

// maxParts bounds the parts of a sentence that are looked up.
const maxParts = 64

// pattern is a message with places for arguments.
type pattern struct {
	message string
	words   []string // what stands around the places: one more than there are places
	digits  []bool   // which places are for numbers
	weight  int      // how many letters of it are given
}

// minWeight leaves out what says too little to be known by, as " and ".
const minWeight = 6

// patterns are those of the catalogue, the most exact first.
var patterns = sync.OnceValue(func() (all []pattern) {
	for message := range catalogues[All[1]]() {
		if p := newPattern(message); len(p.words) > 1 && p.weight >= minWeight {
			all = append(all, p)
		}
	}
	sort.Slice(all, func(i, j int) bool { // half the code of slices.SortFunc
		a, b := all[i], all[j]
		return a.weight > b.weight || a.weight == b.weight && a.message < b.message
	})
	return all
})

// newPattern takes a message apart. Its places are %s, %d, %v and %q, in this order.
func newPattern(message string) pattern {
	p := pattern{message: message}
	rest := message
	for {
		i := strings.IndexByte(rest, '%')
		if i < 0 || i+1 == len(rest) {
			break
		}
		p.words, p.digits, rest = append(p.words, rest[:i]), append(p.digits, rest[i+1] == 'd'), rest[i+2:]
	}
	p.words = append(p.words, rest)
	for _, w := range p.words {
		p.weight += len(w)
	}
	return p
}

// match takes the arguments out of a sentence that was made of p. Each is as short as it can be; the last
// one takes what is left.
func (p pattern) match(s string) (args []string, ok bool) {
	s, begins := strings.CutPrefix(s, p.words[0])
	last := len(p.words) - 1
	s, ends := strings.CutSuffix(s, p.words[last])
	if !begins || !ends {
		return nil, false
	}
	for i := range p.digits {
		arg := s
		if i+1 < last {
			before, after, found := strings.Cut(s, p.words[i+1])
			if !found {
				return nil, false
			}
			arg, s = before, after
		}
		if arg == "" || p.digits[i] && strings.Trim(strings.TrimPrefix(arg, "-"), digits) != "" {
			return nil, false
		}
		args = append(args, arg)
	}
	return args, true
}

// fill puts args into the places of a translation, which are in order or say their number, as %[2]s does.
func fill(text string, args []string) string {
	var b strings.Builder
	for next := 0; ; next++ {
		before, after, found := strings.Cut(text, "%")
		b.WriteString(before)
		if !found || after == "" {
			return b.String()
		}
		if number, rest, numbered := strings.Cut(strings.TrimPrefix(after, "["), "]"); after[0] == '[' && numbered {
			next, after = int(number[0]-'1'), rest
		}
		if next < 0 || next >= len(args) || after == "" {
			return b.String()
		}
		b.WriteString(args[next])
		text = after[1:]
	}
}
