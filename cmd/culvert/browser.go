package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// webPage is what a browser opens.
const webPage = "https://web.whatsapp.com/"

// browsers are the programs to look for, those first that need least to be told.
var browsers = map[string][]string{
	"windows": {
		`${ProgramFiles}\Google\Chrome\Application\chrome.exe`, `${ProgramFiles(x86)}\Google\Chrome\Application\chrome.exe`,
		`${ProgramFiles(x86)}\Microsoft\Edge\Application\msedge.exe`, `${ProgramFiles}\Microsoft\Edge\Application\msedge.exe`,
		`${ProgramFiles}\Mozilla Firefox\firefox.exe`,
	},
	"darwin": {
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
		"/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge", "/Applications/Brave Browser.app/Contents/MacOS/Brave Browser",
		"/Applications/Firefox.app/Contents/MacOS/firefox",
	},
}

// otherBrowsers are names on the PATH, elsewhere.
var otherBrowsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "brave-browser", "microsoft-edge", "firefox", "firefox-esr"}

var errNoBrowser = errors.New("no browser was found: name one in the environment variable BROWSER, or leave --browser out and enter the proxy that --web prints")

// findBrowser returns the program that BROWSER names, or the first that is there.
func findBrowser() (string, error) {
	all := browsers[runtime.GOOS]
	if all == nil {
		all = otherBrowsers
	}
	if named := os.Getenv("BROWSER"); named != "" {
		all = []string{named}
	}
	for _, one := range all {
		if path, err := exec.LookPath(os.ExpandEnv(one)); err == nil {
			return path, nil
		}
	}
	return "", errNoBrowser
}

// openBrowser opens WhatsApp Web in a browser of which everything goes by the proxy at address, and nothing
// any other way: it has a profile of its own, in keep or, where that is empty, for this time
// alone. The caller calls end, which ends it.
func openBrowser(ctx context.Context, address, keep string, logs io.Writer) (end func(), err error) {
	program, err := findBrowser()
	if err != nil {
		return nil, err
	}
	profile, remove, err := profileDir(keep)
	if err != nil {
		return nil, fmt.Errorf("open a browser: %w", err)
	}
	args := chromiumArgs(address, profile)
	if strings.Contains(strings.ToLower(filepath.Base(program)), "firefox") {
		args, err = firefoxArgs(address, profile)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := exec.CommandContext(ctx, program, args...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 5 * time.Second
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		cancel()
		remove()
		return nil, fmt.Errorf("open a browser: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := c.Wait(); err != nil && ctx.Err() == nil {
			fmt.Fprintf(logs, "The browser has ended: %v\n", err)
		}
	}()
	return func() { cancel(); <-ended; remove() }, nil
}

func profileDir(keep string) (dir string, remove func(), err error) {
	if keep == "" {
		dir, err = os.MkdirTemp("", "culvert-browser-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	dir = filepath.Join(keep, "browser")
	return dir, func() {}, os.MkdirAll(dir, 0o700)
}

// chromiumArgs keep all of a browser of Chromium's family to the proxy: also what it asks of loopback, and no
// WebRTC beside it. What it would tell its maker is left out.
func chromiumArgs(address, profile string) []string {
	return []string{
		"--proxy-server=socks5://" + address, "--proxy-bypass-list=<-loopback>", "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
		"--user-data-dir=" + profile, "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--new-window", webPage,
	}
}

// firefoxPrefs do the same for Firefox.
const firefoxPrefs = `user_pref("network.proxy.type", 1);
user_pref("network.proxy.socks", "%s");
user_pref("network.proxy.socks_port", %s);
user_pref("network.proxy.socks_version", 5);
user_pref("network.proxy.socks_remote_dns", true);
user_pref("network.proxy.no_proxies_on", "");
user_pref("network.proxy.allow_hijacking_localhost", true);
user_pref("network.proxy.failover_direct", false);
user_pref("network.trr.mode", 5);
user_pref("network.dns.disablePrefetch", true);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("media.peerconnection.ice.proxy_only", true);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
user_pref("app.update.auto", false);
`

func firefoxArgs(address, profile string) ([]string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	prefs := fmt.Sprintf(firefoxPrefs, host, port)
	return []string{"--no-remote", "--profile", profile, webPage}, os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600)
}

// webAddress is where browsers are served: as was said, or, for the browser that is opened, by any port.
func webAddress(said string, opens bool) string {
	if opens {
		return cmp.Or(said, "127.0.0.1:0")
	}
	return said
}
