package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// browser is a program of Debian's that is sent to a page.
type browser struct {
	name    string // of the look
	program string
	prepare func(profile string, s *site, proxy int) error
	args    func(profile, url string, proxy int) []string
}

// browsers are those that looks are taken from.
var browsers = []*browser{
	{"chromium", "chromium", func(string, *site, int) error { return nil }, chromiumArgs},
	{"firefox", "firefox-esr", prepareFirefox, firefoxArgs},
}

// runLimit bounds one run of a browser: the first of a profile takes some seconds.
const runLimit = 120 * time.Second

// version is the browser's, as it says itself.
func (b *browser) version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, b.program, "--version").Output()
	found := regexp.MustCompile(`\d+(\.\d+)+`).Find(out)
	if err != nil || found == nil {
		return "", fmt.Errorf("ask %s for its version (apt-get install %s): %w", b.program, b.program, errors.Join(err))
	}
	return string(found), nil
}

// visit sends the browser, in a profile of its own, to the site, by the proxy at a port of this machine if
// that is not 0, until done says that enough is known.
func (b *browser) visit(ctx context.Context, s *site, proxy int, done func(context.Context) error) error {
	profile, err := os.MkdirTemp("", "look-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(profile)
	if err := b.prepare(profile, s, proxy); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.program, b.args(profile, s.url(), proxy)...)
	cmd.Env = append(os.Environ(), "HOME="+profile, "LANG=en_US.UTF-8", "LANGUAGE=en_US", "MOZ_CRASHREPORTER_DISABLE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s (apt-get install %s): %w", b.program, b.program, err)
	}
	err = done(ctx)
	cancel()
	cmd.Wait() // it was killed
	return err
}

func chromiumArgs(profile, url string, proxy int) []string {
	args := []string{"--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--lang=en-US", "--user-data-dir=" + profile,
		"--ignore-certificate-errors", "--host-resolver-rules=MAP " + siteName + " 127.0.0.1"}
	if proxy != 0 {
		args = append(args, fmt.Sprintf("--proxy-server=http://127.0.0.1:%d", proxy))
	}
	return append(args, url)
}

func firefoxArgs(profile, url string, _ int) []string {
	return []string{"--headless", "--no-remote", "--profile", profile, url}
}

// firefoxPrefs have it find the site, and ask for nothing of its own.
var firefoxPrefs = []string{
	`"network.dns.forceResolve", "127.0.0.1"`,
	`"network.captive-portal-service.enabled", false`,
	`"network.connectivity-service.enabled", false`,
	`"app.normandy.enabled", false`,
	`"app.update.enabled", false`,
	`"datareporting.policy.dataSubmissionEnabled", false`,
	`"toolkit.telemetry.unified", false`,
	`"browser.safebrowsing.downloads.remote.enabled", false`,
	`"browser.shell.checkDefaultBrowser", false`,
	`"browser.aboutwelcome.enabled", false`,
	`"startup.homepage_welcome_url", ""`,
}

// prepareFirefox has it trust the site's certificate, as it does not ask the system.
func prepareFirefox(profile string, s *site, proxy int) error {
	prefs := firefoxPrefs
	if proxy != 0 {
		prefs = append(prefs[:len(prefs):len(prefs)], `"network.proxy.type", 1`, `"network.proxy.ssl", "127.0.0.1"`, fmt.Sprintf(`"network.proxy.ssl_port", %d`, proxy))
	}
	var text strings.Builder
	for _, p := range prefs {
		fmt.Fprintf(&text, "user_pref(%s);\n", p)
	}
	cert := filepath.Join(profile, "site.pem")
	if err := errors.Join(os.WriteFile(filepath.Join(profile, "user.js"), []byte(text.String()), 0o600), os.WriteFile(cert, s.pem(), 0o600)); err != nil {
		return err
	}
	for _, args := range [][]string{{"-N", "--empty-password"}, {"-A", "-n", "site", "-t", "C,,", "-i", cert}} {
		if out, err := exec.Command("certutil", append(args, "-d", "sql:"+profile)...).CombinedOutput(); err != nil {
			return fmt.Errorf("certutil %s (apt-get install libnss3-tools): %w: %s", args[0], err, out)
		}
	}
	return nil
}
