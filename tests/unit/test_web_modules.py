"""The dashboard's pure modules, judged by node's own test runner: no browser, no packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts.build_web import node_home

WEB = Path(__file__).resolve().parents[2] / "web"


def test_the_pages_modules_pass_their_own_tests():
    argv = [str(node_home() / "bin" / "node"), "--test", "test/*.test.ts"]

    done = subprocess.run(argv, cwd=WEB, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
