package main

import (
	"fmt"
	"net/url"
	"strings"

	"culvert/internal/lang"
	"culvert/internal/link"
	"culvert/internal/page"
	"culvert/internal/secret"
	"culvert/internal/term"
)

// invitationOptions say what is written beside a link for the person who gets it.
type invitationOptions struct {
	flags    *term.Flags
	file     string
	download string
	lang     *lang.Language
}

func (o *invitationOptions) addFlags(f *term.Flags) {
	o.flags = f
	f.StringVar(&o.file, "invitation", "", "`FILE`, ending in .html or .txt, that gets the link with what to do on each kind of device; for its owner alone")
	f.StringVar(&o.download, "download", "", "`URL` where the receiver gets the program, for the invitation")
	l := ownLanguage()
	f.Func("lang", "`TAG` of the language of the invitation: "+languages()+" (default the system's)", l.set)
	o.lang = (*lang.Language)(&l)
}

func (o *invitationOptions) check() error {
	switch {
	case o.file == "" && o.download != "":
		return o.flags.Wrong("--download stands in an invitation: say with --invitation invitation.html where that goes")
	case o.file == "":
		return nil
	}
	if err := page.IsInvitation(o.file); err != nil {
		return o.flags.Wrong("--invitation: %v", err)
	}
	if o.download != "" && !isWebAddress(o.download) {
		return o.flags.Wrong("--download is an address that begins with https://")
	}
	return nil
}

func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && !strings.ContainsAny(text, " \r\n\t")
}

// write makes the file, which is its owner's alone: it holds the link.
func (o *invitationOptions) write(l *link.Link) error {
	if o.file == "" {
		return nil
	}
	i := page.Invitation{Lang: *o.lang, Link: l.String(), Code: l.QR(), Download: o.download}
	if err := secret.Write(o.file, i.File(o.file), 0o600); err != nil {
		return fmt.Errorf("write invitation: %w", err)
	}
	return nil
}
