// Package lang is what people read in their own language: one catalogue of messages, each under
// its English, which is also what every package writes, logs and hands to programs. Only
// who talks to a person asks for another language. Nothing here reads the environment.
package lang

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Language is one that the catalogue has, as BCP 47 spells it. The zero value is English.
type Language string

// The languages. None but English has been checked by a native speaker.
const (
	English Language = "en"
	Persian Language = "fa"
	Russian Language = "ru"
	Arabic  Language = "ar"
	Chinese Language = "zh" // simplified
	Burmese Language = "my"
)

// All are the languages that there are, English first.
var All = []Language{English, Persian, Russian, Arabic, Chinese, Burmese}

// ownNames are what the speakers of a language call it.
var ownNames = map[Language]string{
	English: "English", Persian: "فارسی", Russian: "Русский", Arabic: "العربية", Chinese: "简体中文", Burmese: "မြန်မာ",
}

// Name is what speakers of l call it.
func (l Language) Name() string { return ownNames[l.orEnglish()] }

// Tag is what a page's lang attribute says.
func (l Language) Tag() string {
	if l == Chinese {
		return "zh-Hans"
	}
	return string(l.orEnglish())
}

// Dir is what a page's dir attribute says.
func (l Language) Dir() string {
	if l == Persian || l == Arabic {
		return "rtl"
	}
	return "ltr"
}

func (l Language) orEnglish() Language {
	if l == "" {
		return English
	}
	return l
}

// Text is a message in l, with args in the places that the English has for them; those that are texts or errors
// are in l, too, as far as Sentence knows them. A message that the catalogue has not is English.
func (l Language) Text(message string, args ...any) string {
	if t, ok := l.find(message); ok {
		message = t
	}
	if len(args) == 0 {
		return message
	}
	return fmt.Sprintf(message, l.each(args)...)
}

// each is args with what people read of them in l.
func (l Language) each(args []any) []any {
	if catalogues[l] == nil {
		return args
	}
	args = slices.Clone(args)
	for i := range args {
		switch arg := args[i].(type) {
		case string:
			args[i] = l.Sentence(arg)
		case error:
			args[i] = l.Sentence(arg.Error())
		}
	}
	return args
}

// Match is the language that a tag or a locale asks for: "fa", "zh-CN", "ru_RU.UTF-8"; false where there is
// none such. Whoever reads another Chinese reads the simplified one more easily than English, and Dari is Persian.
func Match(tag string) (Language, bool) {
	tag = strings.ToLower(strings.TrimSpace(tag))
	primary, _, _ := strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	primary, _, _ = strings.Cut(primary, ".")
	switch primary {
	case "prs":
		return Persian, true
	case "c", "posix":
		return English, true
	}
	l := Language(primary)
	return l, slices.Contains(All, l)
}

// First is the language of the first tag that asks for one that there is; else English.
func First(tags ...string) Language {
	for _, tag := range tags {
		if l, ok := Match(tag); ok {
			return l
		}
	}
	return English
}

// maxTags bounds the languages that a browser may name, of which it names a handful.
const maxTags = 32

// Accepted is the language that a browser wants by its Accept-Language (RFC 9110, section 12.5.4):
// the one with the greatest weight of those that there are; else English.
func Accepted(header string) Language {
	best, most := English, 0.0
	for i, part := range strings.Split(header, ",") {
		if i == maxTags {
			break
		}
		tag, weight, _ := strings.Cut(part, ";")
		q := 1.0
		if text, weighs := strings.CutPrefix(strings.TrimSpace(weight), "q="); weighs {
			q, _ = strconv.ParseFloat(text, 64)
		}
		if l, ok := Match(tag); ok && q > most && q <= 1 {
			best, most = l, q
		}
	}
	return best
}
