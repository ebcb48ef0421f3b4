#!/usr/bin/env bash
# Installs the outside programs that some tests ask: astrometry.net with indexes for fields of 22 arcmin and wider,
# indiserver with its simulators, and the XMPP servers Prosody and ejabberd. The tests run these as children of their
# own: as services they stay off.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    astrometry.net
    astrometry-data-tycho2-07-littleendian
    astrometry-data-tycho2-08-littleendian
    astrometry-data-tycho2-09-littleendian
    astrometry-data-tycho2-10-19-littleendian
    indi-bin
)
servers=(prosody lua-unbound ejabberd libnss-wrapper)
tools=(iproute2 openssl)

# Names of those packages that are not installed.
missing_of() {
    local package status
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || echo "$package"
    done
}

mapfile -t missing < <(missing_of "${packages[@]}" "${tools[@]}")
if [ ${#missing[@]} -gt 0 ]; then
    bash scripts/apt_install.sh "${missing[@]}"
fi
mapfile -t missing < <(missing_of "${servers[@]}")
if [ ${#missing[@]} -gt 0 ]; then
    bash scripts/apt_install.sh --no-start "${missing[@]}"
fi
