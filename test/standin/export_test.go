package standin

// FirstFlight opens a connection: a prologue, and a frame with a client's key.
const FirstFlight = "WA\x06\x03\x00\x00\x24\x12\x22\x0a\x20" + "any 32 bytes are a public key ..."

// NewCapped accepts at most as many connections at once as it is told.
var NewCapped = newCapped
