#!/bin/sh
# Committed files name no package registry and no machine's paths; lock files hold hashes, not addresses.
set -eu
status=0
# The patterns are split so that this file does not name what it forbids.
registries='pyp''i\.org|pythonhos''ted\.org|registry\.npm''js|registry\.yarn''pkg|deb\.deb''ian\.org|crates\.i''o/api'
if git grep -nIE "$registries" -- . ':!scripts/check_names.sh'; then
    echo "^ package registry hosts: take them out" >&2
    status=1
fi
if git grep -nE '"resolved"' -- '*package-lock.json'; then
    echo "^ lock files with addresses: npm config omit-lockfile-registry-resolved=true" >&2
    status=1
fi
if git ls-files | grep -E '(^|/)uv\.lock$'; then
    echo "^ uv.lock holds addresses: use requirements/*.txt" >&2
    status=1
fi
for file in requirements/*.txt; do
    grep -q -- '--hash=sha256:' "$file" || { echo "$file has no hashes" >&2; status=1; }
done
exit $status
