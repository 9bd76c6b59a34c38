"""What a box grants, as data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

#: Below systemd's dynamic users (61184–65519), above homes (60513) and people (59999): nobody's but ours, and
#: still inside the 65536 ids that a rootless container maps.
_BOX_ID = 61_080

#: CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_SETGID, CAP_SETUID; Docker grants them by default.
_NEEDED = sum(1 << bit for bit in (0, 1, 3, 5, 6, 7))


class SandboxMode(StrEnum):
    """`auto`: every layer that the kernel has. `required`: all or nothing. `off`: only limits, no isolation."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class BoxPolicy:
    """The files and the amounts that a box may use. Files given as open descriptors need no path here.

    A limit of 0 is no limit. `read_only` grants reading and executing, `read_write` everything but executing, both
    for whole trees. `disabled_layers` switches single layers off, to test that the others hold by themselves.
    """

    read_only: tuple[Path, ...] = ()
    read_write: tuple[Path, ...] = ()
    cpu_s: int = 3600
    memory_bytes: int = 4 << 30
    file_size_bytes: int = 4 << 30
    open_files: int = 128
    #: Processes and threads of the box's user, all boxes of this machine together; only with `user`.
    processes: int = 4096
    mode: SandboxMode = SandboxMode.AUTO
    #: (uid, gid) to become, from `unprivileged_ids`.
    user: tuple[int, int] | None = None
    disabled_layers: tuple[str, ...] = ()

    def words(self, *, parent: int) -> list[str]:
        """This policy as words for `box.Rules`; `parent` is the pid whose death ends the box, 0 for nobody's."""
        amounts = ("cpu_s", "memory_bytes", "file_size_bytes", "open_files", "processes")
        words = [f"--mode={self.mode}", f"--parent={parent}"]
        words += [f"--{name.replace('_', '-')}={int(getattr(self, name))}" for name in amounts]
        words += [f"--read-only={path.absolute()}" for path in self.read_only]
        words += [f"--read-write={path.absolute()}" for path in self.read_write]
        words += [f"--disabled={name}" for name in self.disabled_layers]
        if self.user is not None:
            words.append(f"--user={self.user[0]}:{self.user[1]}")
        return words


def unprivileged_ids() -> tuple[int, int] | None:
    """The (uid, gid) that boxed processes of a service run by root become.

    None when we are not root, or a root that could not become them, hand them a folder, read what they wrote there
    and kill them: in containers that drop capabilities or map few ids.
    """
    if os.getuid() != 0:
        return None
    able = has_capabilities(Path("/proc/self/status").read_text())
    mapped = all(maps_id(Path(f"/proc/self/{kind}_map").read_text(), _BOX_ID) for kind in ("uid", "gid"))
    return (_BOX_ID, _BOX_ID) if able and mapped else None


def has_capabilities(status: str) -> bool:
    """Whether /proc/self/status grants what changing, serving and ending another user's processes takes."""
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return int(effective, 16) & _NEEDED == _NEEDED


def maps_id(id_map: str, number: int) -> bool:
    """Whether a user namespace's map (lines of inside, outside, count) contains `number`."""
    ranges = (line.split() for line in id_map.splitlines())
    return any(int(first) <= number < int(first) + int(count) for first, _, count in ranges)


def prepare_scratch(path: Path, policy: BoxPolicy) -> None:
    """Make `path`, which must not exist yet, a folder that the box's user can write and other users cannot read.

    Only a folder made here is given away: changing the owner of one found could hand somebody's files to the box.
    The box reaches it as its working directory, so its parents may be closed to that user: name outputs relatively.
    """
    path.mkdir(mode=0o700, parents=True)
    if policy.user is not None:
        os.chown(path, *policy.user)
