#!/usr/bin/env bash
# Install a wheel into an environment of its own, away from the sources, and train the demo with the given settings there.
# usage: tests/packaging/try_wheel.sh dist/lptpp-VERSION-py3-none-any.whl [key=value …]
set -euo pipefail
wheel=$(realpath "$1")
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset PYTHONPATH
"${PYTHON:-python3}" -m venv venv
echo "Installing the wheel and PyTorch: one to four minutes ..."
venv/bin/python -m pip install --quiet --no-compile ${LOCK:+--constraint "$LOCK"} "${wheel}[demo]"
venv/bin/lptpp --version
venv/bin/lptpp --help > /dev/null
venv/bin/lptpp fit emoji run=run "$@"
test -s run/report.html
