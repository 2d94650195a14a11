package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"culvert/client/doctor"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
)

// notReachedError means that the relay works and nothing answered behind it.
type notReachedError struct{ why string }

func (e *notReachedError) Error() string { return e.why }

// proveWhatsApp asks through the app's listeners. Its error is a
// notReachedError if nothing answers.
func (r *relay) proveWhatsApp(ctx context.Context) error {
	whom := "WhatsApp"
	if r.StandIn() != nil {
		whom = "the stand-in"
	}
	r.out.Title("Asking " + whom + " through the relay")
	r.out.Show("… waiting for an answer")
	all := doctor.Ways{Chat: r.DialChat, Media: r.DialMedia}.Prove(ctx, r.Trust, r.limit)
	r.out.Show("")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.say("Chat", all.Chat)
	r.say("Media down", all.Down)
	r.say("Media up", all.Up)
	switch {
	case all.Chat.Err != nil && all.Down.Err != nil && all.Up.Err != nil:
		r.out.Hint("%s", r.failedHop(all))
		return &notReachedError{r.failedHop(all)}
	case all.Chat.Err != nil || all.Down.Err != nil || all.Up.Err != nil:
		r.out.Hint("%s Going on with what works.", r.failedHop(all))
	}
	return nil
}

func (r *relay) say(what string, p doctor.Proof) {
	if p.Err != nil {
		r.out.Step(term.Bad, p.Took, "%s: %s", what, p.Problem())
		return
	}
	r.out.Step(term.Good, p.Took, "%s: %s", what, p.Detail)
	for _, w := range p.Warnings {
		r.out.Hint("%s", w)
	}
}

// failedHop says in plain words where the way ends.
func (r *relay) failedHop(all doctor.Proofs) string {
	const works = "The relay works: client, edge and origin on this machine reach one another. "
	why := r.WhyNoDial()
	switch {
	case why != nil:
		return works + "The last hop fails, from the origin to WhatsApp: " + why.Error() + ". " +
			"Is this machine on the internet, and may it connect to WhatsApp?"
	case errors.Is(all.Chat.Err, whatsapp.ErrTimeout):
		return works + "On the last hop, from the origin to WhatsApp, nothing came back in time."
	}
	return works + "On the last hop, from the origin to WhatsApp, something else than WhatsApp answered, or the connection was cut."
}

// saveFiles writes what other programs need to use this relay, and says how.
func (r *relay) saveFiles(dir string) error {
	if err := r.Save(dir); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	in := func(name string) string { return term.Quoted(filepath.Join(dir, name)) }
	try := "culvert doctor --link-file " + in("link")
	if r.StandIn() != nil {
		try += fmt.Sprintf(" --chat-root $(cat %s) --media-ca %s", in("chat-root"), in("media-ca"))
	}
	r.out.Step(term.Good, 0, "Link saved; it is as good as this process lives. To try it:")
	_, err := fmt.Fprintf(r.out, "%s\n", try)
	return err
}
