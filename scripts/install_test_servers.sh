#!/usr/bin/env bash
# Installs the outside programs that some tests ask: astrometry.net with indexes for fields of 22 arcmin and wider.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    astrometry.net
    astrometry-data-tycho2-07-littleendian
    astrometry-data-tycho2-08-littleendian
    astrometry-data-tycho2-09-littleendian
    astrometry-data-tycho2-10-19-littleendian
)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    bash scripts/apt_install.sh "${missing[@]}"
fi
