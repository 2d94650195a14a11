package main

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strconv"
)

// epoch is the commit's time in seconds.
func (r *release) epoch() string { return strconv.FormatInt(r.commit.Unix(), 10) }

// kept is a file of ours that packages hold, in infra/package.
func (r *release) kept(name string) string { return filepath.Join(r.source(), "infra/package", name) }

const (
	usersFile = "config|noreplace" // a user's from the first installation on
	ourFolder = "dir"
)

// clientPackage holds the client, and what starts it with the machine once there is a link.
func (r *release) clientPackage(s system, k kind) (*nfpmConfig, error) {
	p := r.newPackage("culvert", "Carries WhatsApp's chat and media under whatever blocks their way.\nIt serves the app's own proxy setting.", k)
	r.add(p, "/usr/bin/culvert", filepath.Join(r.built(s), client.name), 0o755, "")
	r.add(p, "/etc/culvert", "", 0o755, ourFolder)
	switch k.packager {
	case "ipk": // a router's flash has no room for documents
		r.add(p, "/etc/init.d/culvert", r.kept("openwrt/culvert.init"), 0o755, "")
		r.add(p, "/etc/config/culvert", r.kept("openwrt/culvert.config"), 0o600, usersFile)
	case "apk":
		r.add(p, "/etc/init.d/culvert", r.kept("openrc/culvert"), 0o755, "")
		r.add(p, "/etc/conf.d/culvert", r.kept("openrc/culvert.conf"), 0o644, usersFile)
		r.documents(p, "docs/CLIENT.md")
	default:
		r.add(p, "/usr/lib/systemd/system/culvert.service", r.kept("systemd/culvert.service"), 0o644, "")
		r.documents(p, "docs/CLIENT.md")
	}
	return p, r.addScripts(p, k, "culvert")
}

// serverPackage holds both servers. Nothing starts before somebody has given it its settings.
func (r *release) serverPackage(s system, k kind) (*nfpmConfig, error) {
	p := r.newPackage("culvert-server", "The servers of Culvert: the origin, which dials WhatsApp, and an edge.", k)
	if k.packager != "apk" { // which has no recommendations
		p.Recommends = []string{"culvert"}
	}
	r.add(p, "/etc/culvert", "", 0o755, ourFolder)
	for _, server := range servers {
		r.add(p, "/usr/bin/"+server.name, filepath.Join(r.built(s), server.name), 0o755, "")
		if k.packager == "apk" {
			r.add(p, "/etc/init.d/"+server.name, r.kept("openrc/"+server.name), 0o755, "")
			r.add(p, "/etc/conf.d/"+server.name, r.kept("openrc/"+server.name+".conf"), 0o600, usersFile)
		}
	}
	r.documents(p, "docs/OPERATING.md")
	if k.packager != "apk" {
		units, err := r.units("/usr/lib/systemd/system/")
		if err != nil {
			return nil, err
		}
		for _, u := range units {
			r.add(p, u.to, u.from, u.mode, "")
		}
	}
	return p, r.addScripts(p, k, "server")
}

// units are the servers' for systemd.
func (r *release) units(folder string) ([]file, error) {
	all, err := filepath.Glob(r.kept("systemd/culvert-*"))
	files := make([]file, len(all))
	for i, from := range all {
		files[i] = file{folder + filepath.Base(from), from, 0o644}
	}
	return files, err
}

// documents are what a reader needs beside a page, and the licence by the name that Debian wants.
func (r *release) documents(p *nfpmConfig, page string) {
	at := "/usr/share/doc/" + p.Name + "/"
	r.add(p, at, "", 0o755, ourFolder) // or rpm leaves it behind
	r.add(p, at+"copyright", filepath.Join(r.source(), "LICENSE"), 0o644, "")
	r.add(p, at+path.Base(page), filepath.Join(r.source(), page), 0o644, "")
}

// addScripts has a package run what a kind's folder holds for it, when it comes and when it goes. An apk has the scripts' modes and
// times, so they are given the commit's.
func (r *release) addScripts(p *nfpmConfig, k kind, of string) (err error) {
	folder := map[string]string{"deb": "systemd", "rpm": "systemd", "apk": "openrc", "ipk": "openwrt"}[k.packager]
	if p.Scripts, err = r.scripts(folder+"-"+of, "postinstall", "preremove", "postremove"); err == nil {
		p.APK.Scripts, err = r.scripts(folder+"-"+of, "postupgrade")
	}
	return err
}

// scripts are those which begin with a name, by when they run.
func (r *release) scripts(begin string, times ...string) (map[string]string, error) {
	found := map[string]string{}
	for _, when := range times {
		name := r.kept("scripts/" + begin + "-" + when)
		if _, err := os.Stat(name); err != nil {
			continue
		}
		if err := errors.Join(os.Chmod(name, 0o755), os.Chtimes(name, r.commit, r.commit)); err != nil {
			return nil, err
		}
		found[when] = name
	}
	return found, nil
}
