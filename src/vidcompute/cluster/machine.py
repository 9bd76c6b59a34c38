"""What this machine lets us use: the smallest of hardware, affinity and control groups (v1 and v2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vidcompute.domain.task import Resources


def detect(*, root: Path = Path("/"), cpus: int | None = None) -> Resources:
    """CPU cores (fractions where a quota says so), GPUs and memory in bytes, as far as this process may use them.

    A container sees the host's memory and cores; only its control group tells what is really given.
    `root` is where `proc`, `sys` and `dev` are; `cpus` replaces the affinity mask.
    """
    cores = float(cpus if cpus is not None else len(os.sched_getaffinity(0)))
    groups = list(_groups(root))
    quotas = [quota for folder in groups if (quota := _cpu_quota(folder)) is not None]
    limits = [limit for folder in groups if (limit := _memory_limit(folder)) is not None]
    return Resources(
        cpu=min([cores, *quotas]),
        gpu=float(_gpus(root)),
        memory_bytes=min([_installed_memory_bytes(root), *limits]),
    )


def _groups(root: Path) -> Iterator[Path]:
    """Folders of our control groups and of all above them: a limit anywhere on the way up holds."""
    mounts = root / "sys/fs/cgroup"
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            # "hierarchy:controllers:path", the controllers empty for v2 (cgroups(7)).
            _, controllers, path = line.split(":", 2)
            names = [controllers, *controllers.split(",")] if controllers else ["unified", ""]
            for mount in {mounts / name for name in names}:
                yield from _upwards(mount, path)


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    # In a container the path may be the host's and not exist below our mount, or lead out of it ("/../.." as seen from
    # within a namespace); the mount itself is then our group.
    folder = mount if ".." in Path(path).parts else mount / path.lstrip("/")
    while folder != mount and mount in folder.parents:
        if folder.is_dir():
            yield folder
        folder = folder.parent
    if mount.is_dir():
        yield mount


def _cpu_quota(folder: Path) -> float | None:
    """Cores that the group may use in all; None without a quota."""
    words = _words(folder / "cpu.max") or [
        *_words(folder / "cpu.cfs_quota_us"),
        *_words(folder / "cpu.cfs_period_us"),
    ]
    if len(words) != 2 or words[0] in {"max", "-1"}:
        return None
    with suppress(ValueError, ZeroDivisionError):
        return int(words[0]) / int(words[1])
    return None


def _memory_limit(folder: Path) -> int | None:
    """Bytes that the group may use; None without a limit (v1 says a number near 2⁶³, larger than any machine)."""
    words = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
    return int(words[0]) if words and words[0].isdecimal() else None


def _installed_memory_bytes(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) * 1024
    return 0


def _gpus(root: Path) -> int:
    """NVIDIA devices that are visible in here; a container is shown only those it was given."""
    return sum(node.name.removeprefix("nvidia").isdecimal() for node in (root / "dev").glob("nvidia[0-9]*"))


def _words(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text().split()
    return []
