#!/bin/sh
# Make a virtual environment, or say what is missing and how to cure it.
set -eu
python=$1
venv=$2
if [ -z "$python" ]; then
    echo "vidcompute needs Python 3.11 or newer and found none on PATH." >&2
    echo "  Debian, Ubuntu: apt-get install python3 python3-venv" >&2
    echo "  or name one:    make PYTHON=/path/to/python3.12 demo" >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$python has no venv or ensurepip module, so no virtual environment can be made." >&2
    echo "  Debian, Ubuntu: apt-get install python$version-venv" >&2
    exit 1
fi
echo "making $venv with $("$python" --version)"
"$python" -m venv --clear "$venv"
touch "$venv/.created"
