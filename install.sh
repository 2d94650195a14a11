#!/bin/sh
# Brings a Culvert server onto this machine: takes a release's archive, verifies it, and runs the program in it.
#
#   sh install.sh --from ARCHIVE [--sha256 HEX] [setup --name origin.example | update | ...]
#
# ARCHIVE is culvert-server_VERSION_linux_ARCH.tar.gz, with amd64, arm64 or another for ARCH: a file or an https:// URL.
# Without --sha256 its checksum is looked for in SHA256SUMS (or checksums.txt)
# beside it: that tells a broken download, and only --sha256, which you have from elsewhere, a wrong archive. What
# follows is a command of culvert-origin; without one it is setup, or update where there is an origin already.
set -eu

fail() {
  echo "install.sh: $*" >&2
  exit 2
}

fetch() { # FROM TO
  case $1 in
    https://*)
      if command -v curl >/dev/null; then
        curl -fsSL --proto =https --max-time 600 --output "$2" "$1"
      elif command -v wget >/dev/null; then
        # It has no option that keeps redirections to HTTPS: --https-only is about links in pages.
        wget -S -T 60 -O "$2" "$1" 2>"$work/wget" || return 1
        if grep -qi '^ *location: *http:' "$work/wget"; then
          echo "install.sh: $1 leads to a plain http:// URL" >&2
          return 1
        fi
      else
        fail "neither curl nor wget is here: install one, or download the archive elsewhere and name the file"
      fi
      ;;
    *://*) fail "$1 is no https:// URL" ;;
    *) cp "$1" "$2" ;;
  esac
}

sum() { sha256sum "$1" | cut -d ' ' -f 1; }

# published prints the checksum that stands beside the archive.
published() {
  for list in SHA256SUMS checksums.txt; do
    if fetch "$(dirname "$from")/$list" "$work/$list" 2>/dev/null; then
      awk -v name="$(basename "$from")" '$2 == name || $2 == "*" name { print $1; exit }' "$work/$list"
      return
    fi
  done
}

from='' want=''
while [ $# -gt 0 ]; do
  case $1 in
    --from | --sha256)
      [ $# -gt 1 ] || fail "$1 wants a value"
      if [ "$1" = --from ]; then from=$2; else want=$2; fi
      shift 2
      ;;
    -h | --help)
      sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
      exit
      ;;
    *) break ;;
  esac
done
[ -n "$from" ] || fail "name the release's archive: --from https://.../culvert-server_VERSION_linux_ARCH.tar.gz, or that file"
[ "$(id -u)" = 0 ] || fail "only root can set up a service: run it again with sudo"
command -v sha256sum >/dev/null || fail "sha256sum is not here: install coreutils"

# Where programs will be: what is in /tmp may be forbidden to run.
mkdir -p /usr/local/lib
work=$(mktemp -d /usr/local/lib/culvert-install.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
fetch "$from" "$work/archive" || fail "cannot get $from"
[ -n "$want" ] || want=$(published)
[ -n "$want" ] || fail "there is no checksum beside $from: give it with --sha256"
[ "$(sum "$work/archive")" = "$want" ] || fail "the archive's checksum is wrong: nothing was changed; download it again"

mkdir "$work/files"
tar -xzf "$work/archive" -C "$work/files" --no-same-owner || fail "$from is no archive of tar and gzip"
program=$(find "$work/files" -type f \( -name culvert-origin -o -name origin \) | head -n 1)
[ -n "$program" ] || fail "there is no culvert-origin in $from"
chmod 755 "$program"
"$program" --version >/dev/null || fail "the program does not run here: is the archive for $(uname -s) on $(uname -m)?"
if [ $# -eq 0 ]; then
  set -- setup
  [ ! -e /etc/culvert/secret ] || [ ! -e /usr/local/bin/culvert-origin ] || set -- update
fi
"$program" "$@"
