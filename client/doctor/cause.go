package doctor

import "culvert/client/front"

// Cause is what was met, as programs read it. docs/CLIENT.md lists all.
type Cause string

// The causes. A hop that works nevertheless may have one, too.
const (
	NameUnknown    Cause = "name_unknown"        // no resolver knows the front's name
	AddressSilent  Cause = "address_silent"      // nobody answers at its address
	AddressRefused Cause = "address_refused"     // TCP is refused there
	BadProxy       Cause = "proxy"               // the proxy on the way out
	NameSilent     Cause = "name_silent"         // a ClientHello with the front's name is not answered, one without it is
	NameReset      Cause = "name_reset"          // the same, and the connection is reset
	TLSSilent      Cause = "tls_silent"          // no ClientHello is answered
	TLSReset       Cause = "tls_reset"           // the connection is reset after any ClientHello
	HelloSize      Cause = "hello_size"          // it is reset after a large one, and a small one passes
	Certificate    Cause = "certificate"         // somebody is in between, or the front has changed
	Clock          Cause = "clock"               // this machine's clock is wrong
	UpgradeSilent  Cause = "upgrade_silent"      // TLS passes, and what is asked then is not answered
	UpgradeReset   Cause = "upgrade_reset"       // TLS passes, and the connection is cut then
	NoUpgrade      Cause = "no_upgrade"          // the front drops Upgrade
	NoCookies      Cause = "no_cookies"          // the front drops cookies
	Buffers        Cause = "buffers"             // the front waits for a request to end, and a WebSocket's does not
	WrongHost      Cause = "wrong_host"          // the front serves no such host
	NoWebSocket    Cause = "no_websocket"        // another website answers
	NotLetIn       Cause = "not_let_in"          // the origin's website answers: the link is revoked, or its path wrong
	Redirect       Cause = "redirect"            // the front, or a login page, sends us elsewhere
	OriginDown     Cause = "origin_down"         // the front answers for an origin that does not
	OriginSilent   Cause = "origin_silent"       // let in, and the origin does not answer
	Frozen         Cause = "frozen"              // a connection is silent after some bytes, and a new one answers
	CutAfterBytes  Cause = "cut_after_bytes"     // a connection is cut after some bytes
	PathSilent     Cause = "path_silent"         // it is silent after some bytes, and so is a new one
	Slow           Cause = "slow"                // few bits a second pass
	IdleCut        Cause = "idle_cut"            // a connection that rests is cut
	Connections    Cause = "connections_limited" // a new connection is not answered after some within a minute
	SharesUsedUp   Cause = "shares_used_up"      // the origin has limited some
	Other          Cause = "other"               // none of these
)

// advices say of causes what is wrong and what to try.
var advices = map[Cause]struct{ problem, try string }{
	NameUnknown:    {"the front's name cannot be looked up here", "try another network, or put addresses into the front's dial"},
	AddressSilent:  {"nobody answers at the front's address: it is blocked or down", "try another front or network, or give the front other addresses by dial"},
	AddressRefused: {"connection refused at the front's address: it is blocked or down", "try another front or network, or give the front other addresses by dial"},
	NameSilent: {"the network is silent when it sees the front's name; without the name the same address answers",
		"ask for a link whose front has sni=none or another sni"},
	NameReset: {"the network resets connections that show the front's name; without the name the same address answers",
		"ask for a link whose front has sni=none or another sni"},
	TLSSilent:    {"the front's address takes connections, and answers no TLS handshake under any name", "try another front or network, or another address by dial"},
	TLSReset:     {"every TLS handshake with the front's address is reset, under any name", "try another front or network, or another address by dial"},
	HelloSize:    {"the network resets large TLS handshakes; a smaller one passes", "nothing: culvert connect sends the smaller one"},
	NoUpgrade:    {"what answers drops the request's Upgrade, so that there is no WebSocket", "let the CDN pass WebSockets on, or ask for a link with another front"},
	NoCookies:    {"what answers drops the request's cookies, so that we are not let in", "let the CDN pass cookies on, and cache nothing, or ask for a link with another front"},
	Buffers:      {"pages are answered and a WebSocket is not: what answers waits for the end of what is sent", "let the CDN pass WebSockets on as they come, without buffering, or ask for a link with another front"},
	WrongHost:    {"the front serves no such host", "check the front's host and sni, or ask for a new link"},
	NoWebSocket:  {"another website answers, and it knows no WebSocket", "check the front's host and path, let the CDN pass WebSockets on, or ask for a new link"},
	OriginSilent: {"let in, but the origin does not answer", "try again; if it stays so, something between the front and the origin holds WebSockets back"},
	PathSilent:   {"the connection is silent after some bytes, and so is a new one", "try again; if it stays so, another front or network"},
}

// tell fills in what is known of a cause. What is more is added by the caller.
func (c *Check) tell(cause Cause) {
	c.Cause = cause
	if a, known := advices[cause]; known {
		c.Problem, c.Try = a.problem, a.try
	}
}

// byTCP and byTLS are what ends of the first two hops mean.
var (
	byTCP = map[front.Symptom]Cause{
		front.Silence: AddressSilent, front.Refusal: AddressRefused, front.NoName: NameUnknown, front.BadProxy: BadProxy,
	}
	byTLS = map[front.Symptom]Cause{
		front.Silence: TLSSilent, front.Cut: TLSReset, front.Certificate: Certificate, front.NotYetValid: Clock,
	}
	byUpgrade = map[front.Symptom]Cause{front.Silence: UpgradeSilent, front.Cut: UpgradeReset}
)

// causeIn is what s means according to known.
func causeIn(known map[front.Symptom]Cause, s front.Symptom) Cause {
	if c, ok := known[s]; ok {
		return c
	}
	return Other
}
