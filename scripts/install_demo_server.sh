#!/usr/bin/env bash
# Installs the XMPP server that the arguments of the demonstration ask for, if any: `--bus xmpp [--server ejabberd]`.
set -euo pipefail
cd "$(dirname "$0")/.."

case " $* " in
    *" --bus xmpp "* | *" --bus=xmpp "*) ;;
    *) exit 0 ;;
esac
case " $* " in
    *ejabberd*) program=/usr/bin/erl; packages=(ejabberd) ;;
    *) program=/usr/bin/prosody; packages=(prosody lua-unbound) ;;
esac
[ -x "$program" ] || bash scripts/apt_install.sh --no-start "${packages[@]}"
