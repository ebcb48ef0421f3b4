#!/usr/bin/env bash
# Makes the virtual environment DIR and installs pytel with everything its tests need. Run by the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "pytel needs Python 3.11 or newer; install it, or name one: make setup PYTHON=/path/to/python3" >&2
    return 1
}

make_venv() {
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        bash scripts/apt_install.sh python3-venv
    fi
    "$python" -m venv --clear "$venv"
}

echo "Installing pytel and what it needs into $venv; the first time this takes a minute."
if command -v uv >/dev/null; then
    [ -x "$venv/bin/python" ] || uv venv --quiet --python "$(find_python)" "$venv"
    uv pip install --quiet --python "$venv/bin/python" -e '.[dev]'
else
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]'
fi
echo "pytel is installed in $venv; 'source $venv/bin/activate' puts the command 'pytel' on the path."
