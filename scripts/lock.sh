#!/bin/sh
# Resolve pyproject.toml into requirements/*.txt: hashes, no addresses, every supported Python and platform.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
        --custom-compile-command "make lock" "$@"
}
compile pyproject.toml --extra ocr --group run-tools -o requirements/run.txt
compile pyproject.toml --extra ocr --group run-tools --group dev -o requirements/dev.txt
