// Looks takes from Debian's Chromium and Firefox how they begin connections, and writes it where the client
// embeds it. It asks nobody but browsers on this machine.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

// folder is where the client has its looks, from the root of the repository.
const folder = "client/look/data"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "looks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	for _, b := range browsers {
		data, err := b.capture(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		text, err := marshal(data)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, b.name+".json"), text, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s %s: ClientHellos of %d bytes for wss:// and %d for https://\n", b.name, data.Version, len(data.Socket), len(data.Page))
	}
	return nil
}

func marshal(data any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	err := e.Encode(data)
	return b.Bytes(), err
}
