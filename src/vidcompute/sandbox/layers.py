"""Command lines for the box, and which of its layers this machine has."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidcompute.errors import SandboxUnavailable
from vidcompute.sandbox import box
from vidcompute.sandbox.policy import BoxPolicy, SandboxMode, unprivileged_ids
from vidcompute.sandbox.process import run
from vidcompute.sandbox.verdict import verdict

_LAUNCHER = Path(__file__).with_name("launcher.py")


def boxed_argv(argv: Sequence[str | Path], policy: BoxPolicy, *, report_fd: int | None = None) -> list[str]:
    """`argv` as run inside the box; argv[0] must be a path. To be started by this very process, see `process.child`.

    Run it with the scratch folder as working directory and name outputs relatively: the user inside may not be able
    to walk to an absolute path. One line of JSON about the layers goes to `report_fd`, if given (add it to pass_fds).
    """
    words = policy.words(parent=os.getpid())
    if report_fd is not None:
        words.append(f"--report-fd={report_fd}")
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *words, "--", *map(str, argv)]


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What the box is made of here. `active` and the keys of `missing` are names of `box.LAYERS`."""

    active: tuple[str, ...]
    missing: dict[str, str] = field(default_factory=dict)
    landlock_abi: int = 0
    bubblewrap: bool = False

    @property
    def complete(self) -> bool:
        """Whether SANDBOX=required would be content."""
        return not self.missing

    def require(self, mode: SandboxMode) -> None:
        """Raises SandboxUnavailable, naming every missing layer, if `mode` is required and one is missing."""
        if mode is SandboxMode.REQUIRED and self.missing:
            reasons = ", ".join(f"{name} ({why})" for name, why in self.missing.items())
            raise SandboxUnavailable(f"SANDBOX=required, but these layers are missing on this machine: {reasons}")


async def detect(ffmpeg: Path | None = None, *, timeout_s: float = 20.0) -> LayerReport:
    """Enter the box for real in a throw-away child and report what held; with `ffmpeg`, also start it in there.

    Asking the kernel what it supports would miss what containers forbid. Raises TaskFailed if the child cannot run.
    """
    policy = BoxPolicy(cpu_s=20, mode=SandboxMode.AUTO, user=unprivileged_ids())
    reader, writer = os.pipe()
    try:
        program: list[str | Path] = [] if ffmpeg is None else [ffmpeg, "-hide_banner", "-version"]
        done = await run(
            boxed_argv(program, policy, report_fd=writer), timeout_s=timeout_s, pass_fds=[writer], cwd=Path("/")
        )
        os.close(writer)
        writer = -1
        line = os.read(reader, 65536)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    failed = verdict(done.code, policy, what="the sandbox's trial", stderr_tail=done.stderr_tail)
    if failed is not None:
        raise failed
    said = json.loads(line)
    missing = dict(said["missing"])
    if os.getuid() == 0 and policy.user is None:
        missing["user"] = "root, without the capabilities to become another user"
    return LayerReport(
        active=tuple(name for name in box.LAYERS if name in said["active"]),
        missing=missing,
        landlock_abi=int(said["landlock_abi"]),
        bubblewrap=shutil.which("bwrap") is not None,
    )
