package link

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"culvert/internal/seal"
)

// Users are a group of users. The zero value is nobody.
type Users struct{ ranges []userRange }

type userRange struct{ first, last uint32 }

// Everybody is all users who are in no other group.
var Everybody = Users{[]userRange{{0, 1<<32 - 1}}}

const everybody = "all"

var errUsers = errors.New("users are numbers and ranges with commas between, such as 1-50,77, or " + everybody)

// maxRanges bounds the ranges of one group.
const maxRanges = 10_000

// ParseUsers reads "all", or numbers and ranges with commas between, in any order.
func ParseUsers(s string) (u Users, err error) {
	if s == everybody {
		return Everybody, nil
	}
	for word := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 32)
		to, err2 := strconv.ParseUint(last, 10, 32)
		if err1 != nil || err2 != nil || from > to || len(u.ranges) == maxRanges {
			return Users{}, errUsers
		}
		u.ranges = append(u.ranges, userRange{uint32(from), uint32(to)})
	}
	sort.Slice(u.ranges, func(i, j int) bool { return u.ranges[i].first < u.ranges[j].first })
	u.merge()
	return u, nil
}

// merge makes one of ranges that meet, which are in order.
func (u *Users) merge() {
	var merged []userRange
	for _, r := range u.ranges {
		if n := len(merged); n > 0 && uint64(r.first) <= uint64(merged[n-1].last)+1 {
			merged[n-1].last = max(merged[n-1].last, r.last)
		} else {
			merged = append(merged, r)
		}
	}
	u.ranges = merged
}

// String is the one spelling of u, which ParseUsers reads.
func (u Users) String() string {
	if u.isEverybody() {
		return everybody
	}
	var words []string
	for _, r := range u.ranges {
		word := fmt.Sprint(r.first)
		if r.last > r.first {
			word += "-" + fmt.Sprint(r.last)
		}
		words = append(words, word)
	}
	return strings.Join(words, ",")
}

func (u Users) isEverybody() bool { return slices.Equal(u.ranges, Everybody.ranges) }

// Has reports whether a user is one of u.
func (u Users) Has(user uint32) bool {
	_, found := slices.BinarySearchFunc(u.ranges, user, userRange.compare)
	return found
}

// compare says where r lies, as seen from a user.
func (r userRange) compare(user uint32) int {
	switch {
	case r.last < user:
		return -1
	case r.first > user:
		return 1
	}
	return 0
}

// Meets reports whether somebody is in both groups; Everybody is those who are in no other.
func (u Users) Meets(other Users) bool {
	if u.isEverybody() != other.isEverybody() {
		return false
	}
	a, b := u.ranges, other.ranges
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].last < b[0].first:
			a = a[1:]
		case b[0].last < a[0].first:
			b = b[1:]
		default:
			return true
		}
	}
	return false
}

// Equal reports whether u and other are the same group.
func (u Users) Equal(other Users) bool { return slices.Equal(u.ranges, other.ranges) }

// Published is what a file of lists holds: a line for each group of users and each origin's key.
type Published []PublishedList

// PublishedList is a list as one group of users gets it whose links have one origin's key.
type PublishedList struct {
	Users  Users
	Origin seal.PublicKey
	List   *List
	Signed []byte
}

const publishedHead = "# Lists of fronts, made by culvert link fronts. An origin reads them (CULVERT_FRONTS); other changes are refused.\n"

// Bounds of such a file.
const (
	maxPublished  = 1 << 20 // bytes
	maxPublishers = 1000    // lines with lists
)

var errTwice = errors.New("a user is in two groups")

// ParsePublished reads such a file. Lists that none of the keys has signed are left out; others counts
// them. Errors name a line and quote nothing. It takes no longer than a second or so, whatever the text is.
func ParsePublished(text string, keys []seal.PublicKey) (all Published, others int, err error) {
	if len(text) > maxPublished {
		return nil, 0, fmt.Errorf("a file of lists has at most %d bytes", maxPublished)
	}
	var lines []int // where all are
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		p, err := parsePublishedLine(line, keys)
		if errors.Is(err, errListOther) {
			others++
			continue
		}
		if err == nil && len(all) == maxPublishers {
			err = fmt.Errorf("a file holds at most %d lists", maxPublishers)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", number, err)
		}
		all, lines = append(all, p), append(lines, number)
	}
	if i := all.overlap(); i >= 0 {
		return nil, 0, fmt.Errorf("line %d: %w", lines[i], errTwice)
	}
	return all, others, nil
}

func parsePublishedLine(line string, keys []seal.PublicKey) (p PublishedList, err error) {
	words := strings.Fields(line)
	if len(words) != 2 {
		return p, errors.New("a line is the users, a space, and their list")
	}
	if p.Users, err = ParseUsers(words[0]); err != nil {
		return p, err
	}
	if p.Signed, err = parseListText(words[1]); err != nil {
		return p, err
	}
	err = errListOther
	for _, key := range keys {
		if p.List, err = ParseList(p.Signed, key); !errors.Is(err, errListOther) {
			p.Origin = key
			break
		}
	}
	return p, err
}

// overlap finds a list for somebody whom one before it is for, too, of the same origin; -1: there is none.
func (all Published) overlap() int {
	everybody := map[seal.PublicKey]bool{}
	claims := map[seal.PublicKey][]claim{}
	for i, p := range all {
		if p.Users.isEverybody() {
			if everybody[p.Origin] {
				return i
			}
			everybody[p.Origin] = true
			continue
		}
		for _, r := range p.Users.ranges {
			claims[p.Origin] = append(claims[p.Origin], claim{r, i})
		}
	}
	for _, of := range claims {
		if i := overlapOf(of); i >= 0 {
			return i
		}
	}
	return -1
}

// claim is a range of the list with a number.
type claim struct {
	userRange
	list int
}

// overlapOf sorts the claims of one origin, which then meet where neighbours do.
func overlapOf(all []claim) int {
	sort.Slice(all, func(i, j int) bool { return all[i].first < all[j].first })
	for i := 1; i < len(all); i++ {
		if all[i].first <= all[i-1].last {
			return max(all[i].list, all[i-1].list)
		}
	}
	return -1
}

// Text is what ParsePublished reads.
func (all Published) Text() string {
	var b bytes.Buffer
	b.WriteString(publishedHead)
	for _, p := range all {
		fmt.Fprintf(&b, "%s %s\n", p.Users, ListText(p.Signed))
	}
	return b.String()
}

// Book finds the list of a user among many. It does not change: many goroutines may use it.
type Book struct{ of map[seal.PublicKey]*chapter }

// chapter is the lists of one key.
type chapter struct {
	groups []group        // in the order of their users
	others *PublishedList // of who is in none of them; nil: there is none
}

type group struct {
	userRange
	list *PublishedList
}

// Book is what an origin asks.
func (all Published) Book() *Book {
	b := &Book{map[seal.PublicKey]*chapter{}}
	for i := range all {
		p := &all[i]
		c := b.of[p.Origin]
		if c == nil {
			c = &chapter{}
			b.of[p.Origin] = c
		}
		if p.Users.isEverybody() {
			c.others = p
			continue
		}
		for _, r := range p.Users.ranges {
			c.groups = append(c.groups, group{r, p})
		}
	}
	for _, c := range b.of {
		slices.SortFunc(c.groups, func(a, b group) int { return cmp.Compare(a.first, b.first) })
	}
	return b
}

// For is what a user gets whose link has that key of the origin, and its version; 0: there is nothing,
// or it has expired. The caller must not change it.
func (b *Book) For(origin seal.PublicKey, user uint32, now time.Time) (signed []byte, version uint32) {
	c := b.of[origin]
	if c == nil {
		return nil, 0
	}
	p := c.others
	if i, found := slices.BinarySearchFunc(c.groups, user, func(g group, user uint32) int { return g.compare(user) }); found {
		p = c.groups[i].list
	}
	if p == nil || !now.Before(p.List.Expires) {
		return nil, 0
	}
	return p.Signed, p.List.Version
}
