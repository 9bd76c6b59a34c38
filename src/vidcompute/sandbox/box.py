"""Entering the box: what this process may still do, from here on, whoever drives it.

Standard library only, and little of it (no dataclasses, typing or json: together they would triple the launcher's
start), because `launcher.py` runs this between fork and exec. `fork.py` runs the very same code in a forked child.
"""

from __future__ import annotations

import ctypes
import os
import resource

from vidcompute.sandbox import landlock, seccomp

#: In the order in which they are entered; the order matters, see `enter`.
LAYERS = ("rlimits", "user", "parent_death", "no_new_privs", "landlock", "seccomp")

#: Exit codes of a process that never became what it was started for.
EXIT_UNBOXED = 126
EXIT_ORPHAN = 125

#: What every program needs to start (the loader and libc), and harmless things that decoders and runtimes ask for.
_ALWAYS_READABLE = [
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"),
    *("/dev/urandom", "/dev/random", "/dev/zero", "/sys/devices/system/cpu", "/proc/cpuinfo"),
]
_ALWAYS_WRITABLE = ["/dev/null"]

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIGKILL = 9


class Unboxed(Exception):
    """A layer is missing and `mode` is required."""

    def __init__(self, layer: str, reason: str) -> None:
        super().__init__(f"{layer}: {reason}")
        self.layer = layer
        self.reason = reason


class Rules:
    """What the box is told, as words `--name=value` (see `policy.BoxPolicy.words`). Limits of 0 mean none."""

    def __init__(self, words: list[str]) -> None:
        """Raises ValueError for a word that is not known: a rule that is not understood must not be ignored."""
        self.mode = "auto"
        self.read_only: list[str] = []
        self.read_write: list[str] = []
        self.disabled: list[str] = []
        self.user = ""
        self.cpu_s = self.memory_bytes = self.file_size_bytes = self.open_files = self.processes = 0
        self.parent = 0
        self.report_fd = -1
        for word in words:
            name, _, value = word.removeprefix("--").partition("=")
            self._take(name.replace("-", "_"), value)

    def _take(self, name: str, value: str) -> None:
        current = getattr(self, name, None)
        if isinstance(current, list):
            current.append(value)
        elif isinstance(current, int):
            setattr(self, name, int(value))
        elif isinstance(current, str):
            setattr(self, name, value)
        else:
            raise ValueError(f"unknown rule {name}")  # noqa: TRY004 - it is the value of a word that is wrong


class Entered:
    """Which layers hold, and why the others do not."""

    __slots__ = ("active", "missing")

    def __init__(self) -> None:
        self.active: list[str] = []
        self.missing: dict[str, str] = {}

    def report(self) -> bytes:
        """One line of JSON, written without the json module (seven milliseconds)."""
        active = ", ".join(f'"{name}"' for name in self.active)
        missing = ", ".join(f'"{name}": "{_plain(why)}"' for name, why in self.missing.items())
        return f'{{"active": [{active}], "missing": {{{missing}}}, "landlock_abi": {landlock_abi()}}}\n'.encode()


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() and letter not in '"\\' else "?" for letter in text)


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 without."""
    return landlock.abi(_libc())


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def enter(rules: Rules, *, program_fd: int = -1) -> Entered:
    """Give up everything that `rules` do not grant. `program_fd` is what will be executed, allowed by itself.

    Raises Unboxed if `rules.mode` is required and a layer cannot be entered, OSError if a granted path is missing.
    """
    libc = _libc()
    isolate = rules.mode != "off"
    # Opened while we still have our rights: scratch and the program may lie below a home that is closed to others.
    opened = landlock.Opened(
        [*_ALWAYS_READABLE, *rules.read_only] if isolate else [],
        [*_ALWAYS_WRITABLE, *rules.read_write] if isolate else [],
    )
    if program_fd >= 0:
        opened.add_descriptor(os.dup(program_fd))
    steps = {
        "rlimits": lambda: _limit(rules),
        "user": lambda: _become(rules.user),
        # After the change of user, because that clears it; before no_new_privs, for no reason but to have it early.
        "parent_death": lambda: _die_with(libc, rules.parent),
        "no_new_privs": lambda: _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1),
        "landlock": lambda: landlock.restrict(libc, opened),
        # Last: it would refuse what the steps above still need.
        "seccomp": lambda: seccomp.install(libc),
    }
    entered = Entered()
    for name in LAYERS:
        if name in rules.disabled or (name == "user" and not rules.user):
            continue
        # Off gives up isolation, not hygiene: limits and the bond to the parent protect the machine from accidents.
        if isolate or name in ("rlimits", "parent_death"):
            _step(entered, name, steps[name], required=rules.mode == "required")
    opened.close()
    return entered


def _step(entered: Entered, name: str, step, *, required: bool) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - naming Callable would import collections.abc
    try:
        step()
    except OSError as error:
        if required:
            raise Unboxed(name, error.strerror or str(error)) from error
        entered.missing[name] = error.strerror or str(error)
    else:
        entered.active.append(name)


def _limit(rules: Rules) -> None:
    limits = [
        # One second between the polite SIGXCPU and the SIGKILL.
        (resource.RLIMIT_CPU, rules.cpu_s, rules.cpu_s + 1),
        (resource.RLIMIT_AS, rules.memory_bytes, rules.memory_bytes),
        (resource.RLIMIT_FSIZE, rules.file_size_bytes, rules.file_size_bytes),
        (resource.RLIMIT_NOFILE, rules.open_files, rules.open_files),
        # Counts every process of the user on this machine, so it is only meant for a user that is ours alone.
        (resource.RLIMIT_NPROC, rules.processes if rules.user else 0, rules.processes),
    ]
    for name, soft, hard in limits:
        ceiling = resource.getrlimit(name)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)  # noqa: PLW2901 - never more than we were given
        if soft:
            resource.setrlimit(name, (soft, hard))
    # A core dump of a decoder is somebody's video on our disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _offer_to_the_oom_killer()


def _offer_to_the_oom_killer() -> None:
    """When memory runs out, a task that can be retried goes before the service that would retry it."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(descriptor, b"500")
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _become(user: str) -> None:
    uid, gid = (int(part) for part in user.split(":"))
    if (os.getuid(), os.getgid()) == (uid, gid):
        return
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _die_with(libc: ctypes.CDLL, parent: int) -> None:
    _prctl(libc, _PR_SET_PDEATHSIG, _SIGKILL)
    # The parent may have died before the line above: then nobody is left to send the signal.
    if parent and os.getppid() != parent:
        os._exit(EXIT_ORPHAN)


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
