#!/bin/sh
# Install the locked requirements ($2: run or dev) and this package into the environment $1.
set -eu
venv=$1
set=$2
echo "installing requirements/$set.txt (about a minute the first time)"
# --no-deps: the lock is complete, and nothing outside it may come in.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r "requirements/$set.txt"
# The package itself, editable; its build backend is in the lock, so no isolated environment is made.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
"$venv/bin/python" -m compileall -q src || true
touch "$venv/.$set"
if [ "$set" = dev ]; then touch "$venv/.run"; fi
