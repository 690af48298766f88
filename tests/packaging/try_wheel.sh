#!/usr/bin/env bash
# Install a wheel into an environment of its own, away from the sources, and train the demo with the given settings there.
# PyTorch alone comes from LENDER, the Python program of another environment, if that is set: a second copy takes 5 GB.
# usage: [LENDER=.venv/bin/python] tests/packaging/try_wheel.sh dist/lptpp-VERSION-py3-none-any.whl [key=value …]
set -euo pipefail
wheel=$(realpath "$1")
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset PYTHONPATH
"${PYTHON:-python3}" -m venv "$folder/venv"
[ -z "${LENDER:-}" ] || "$LENDER" -m tests.packaging.borrow "$folder/borrowed" "$folder/venv/bin/python"
cd "$folder"
echo "Installing the wheel and its libraries: up to four minutes ..."
venv/bin/python -m pip install --quiet --no-compile ${LOCK:+--constraint "$LOCK"} "${wheel}[demo]"
venv/bin/lptpp --version
venv/bin/lptpp --help > /dev/null
venv/bin/lptpp fit emoji run=run "$@"
test -s run/report.html
