package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// waLink is the link that sets the app's proxy setting, to chat and media
// ports of host. The app takes a missing chatTLS for true, so it is said: our
// listeners want the app's raw bytes. An IPv6 literal cannot work, as the app
// keeps host:port and splits it at the first colon.
func waLink(host string, chat, media uint16) (string, error) {
	if strings.ContainsAny(host, ":[]") {
		return "", errors.New("the app takes no IPv6 address: give a host name or an IPv4 address")
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return "", errors.New("the app needs a host name or an IPv4 address of this machine")
	}
	if chat == 0 || media == 0 {
		return "", errors.New("the app needs a chat port and a media port")
	}
	return fmt.Sprintf("https://wa.me/proxy?host=%s&chatPort=%d&mediaPort=%d&chatTLS=false",
		url.QueryEscape(host), chat, media), nil
}
