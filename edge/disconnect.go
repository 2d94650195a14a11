package edge

import (
	"context"
	"net/http"

	"culvert/internal/wire"
)

// Disconnect handles $disconnect, which comes late or never: it tells the
// origin, and answers 200 whether or not that knew the connection. It never
// fails, since nobody is left to be told.
func (g *Gate) Disconnect(ctx context.Context, e request) (response, error) {
	if !g.ours(e, typeDisconnect) {
		return g.refuse(typeDisconnect, http.StatusOK, notOurs), nil
	}
	h := wire.Handed{Event: wire.Disconnect, Conn: e.RequestContext.ConnectionID}
	if err := g.hand(ctx, g.cfg.Origin.Host, h); err != nil {
		g.log.Info("disconnect not handed on", "reason", err.Error())
	}
	return response{StatusCode: http.StatusOK}, nil
}
