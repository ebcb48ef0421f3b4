#!/usr/bin/env bash
# Installs the Debian packages named as arguments, as root or through sudo; says what to do where it cannot.
set -euo pipefail

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
echo "Installing Debian packages: $*"
as_root apt-get update -qq || echo "apt-get update failed; trying with the package lists that are here." >&2
if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null; then
    echo "Please run 'apt-get install $*' as root, then try again." >&2
    exit 1
fi
