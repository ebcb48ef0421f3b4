#!/usr/bin/env bash
# Installs the Debian packages named as arguments, as root or through sudo; says what to do where it cannot.
# With --no-start first, the services of the packages are not started, now or at the next boot.
set -euo pipefail

start=yes
if [ "${1:-}" = --no-start ]; then
    start=no
    shift
fi
POLICY=/usr/sbin/policy-rc.d

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

if ! command -v apt-get >/dev/null; then
    echo "Please install what Debian calls $* (this system has no apt-get), then try again." >&2
    exit 1
fi
if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "Please run 'apt-get install $*' as root (there is no sudo here), then try again." >&2
    exit 1
fi

# Debian asks policy-rc.d before a package starts its service. One that is there belongs to the administrator.
refuse_starts() {
    if [ ! -e "$POLICY" ]; then
        trap 'as_root rm -f "$POLICY"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
        as_root chmod 755 "$POLICY"
    fi
}

units() {
    find /usr/lib/systemd/system /lib/systemd/system -maxdepth 1 \( -name '*.service' -o -name '*.socket' \) \
        ! -name '*@*' -printf '%f\n' 2>/dev/null | sort -u || true
}

echo "Installing Debian packages: $*"
before=$(units)
[ "$start" = yes ] || refuse_starts
as_root apt-get update -qq || echo "apt-get update failed; trying with the package lists that are here." >&2
if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null; then
    echo "Please run 'apt-get install $*' as root, then try again." >&2
    exit 1
fi
if [ "$start" = no ] && command -v systemctl >/dev/null; then
    for unit in $(comm -13 <(echo "$before") <(units)); do
        as_root systemctl disable --quiet "$unit" 2>/dev/null || true # some cannot be enabled at all
        [ ! -d /run/systemd/system ] || as_root systemctl stop "$unit"
    done
fi
