package client_test

import (
	"context"
	"log"
	"os"
	"os/signal"

	"culvert/client"
	"culvert/client/listener"
)

// A near end of one's own: it takes WhatsApp's app on port 5222, by the link in
// the environment, until it is interrupted.
func Example() {
	l, err := client.ParseLink(os.Getenv("CULVERT_LINK"))
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.New(client.Config{Link: l})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ln, err := listener.Listen(ctx, listener.Address(false, listener.DefaultChatPort))
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		apps := listener.Listener{Carry: c.Carry}
		if err := apps.Serve(ctx, ln); err != nil {
			log.Print(err)
			stop()
		}
	}()
	if err := c.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
