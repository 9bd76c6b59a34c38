"""Landlock: which files a box may open. Standard library only: the launcher loads this before exec.

Paths become descriptors before privileges are dropped, so the rules may name places that the dropped user cannot
reach. Source: Linux Documentation/userspace-api/landlock.rst; the rights of each ABI are in its compatibility section.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Not among them: making devices, sockets, fifos and symbolic links. A box writes plain files.
_WRITE = _READ_FILE | _WRITE_FILE | _READ_DIR | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
#: Rights that mean something for a file that is not a folder; the kernel refuses a rule with others.
_ON_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_ENOSYS = 38


class Opened:
    """Rules as open descriptors: (descriptor, rights)."""

    __slots__ = ("rules",)

    def __init__(self, read_only: list[str], read_write: list[str]) -> None:
        """Raises OSError if a `read_write` path is missing; a missing `read_only` path is one thing less to read."""
        self.rules: list[tuple[int, int]] = []
        for path in read_only:
            if os.path.exists(path):  # noqa: PTH110 - pathlib would double the launcher's start
                self.add(path, _READ)
        for path in read_write:
            self.add(path, _WRITE)

    def add(self, path: str, rights: int = _READ) -> None:
        """One rule for a file or for everything below a folder."""
        self.add_descriptor(os.open(path, os.O_PATH | os.O_CLOEXEC), rights)

    def add_descriptor(self, descriptor: int, rights: int = _READ) -> None:
        """One rule for what is already open."""
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISDIR(mode):
            rights &= _ON_A_FILE
            if rights & _WRITE_FILE and stat.S_ISCHR(mode):
                rights |= _IOCTL_DEV  # a GPU is driven by ioctl
        self.rules.append((descriptor, rights))

    def close(self) -> None:
        """Let go of the descriptors."""
        for descriptor, _ in self.rules:
            os.close(descriptor)
        self.rules = []


def abi(libc: ctypes.CDLL) -> int:
    """The kernel's Landlock version, 0 without."""
    version = libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return max(0, int(version))


def _known_rights(version: int) -> int:
    """Every file-system right that this ABI can take away."""
    if version >= 5:
        return (1 << 16) - 1
    return (1 << (12 + min(version, 3))) - 1


def restrict(libc: ctypes.CDLL, opened: Opened) -> None:
    """Allow the opened rules and nothing else, for good; needs no_new_privs. Raises OSError without Landlock."""
    version = abi(libc)
    if version == 0:
        raise OSError(_ENOSYS, "the kernel has no Landlock")
    known = _known_rights(version)
    tcp = 0b11 if version >= 4 else 0  # bind and connect
    scoped = 0b11 if version >= 6 else 0  # abstract sockets and signals, to outside the box
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("=QQQ", known, tcp, scoped)[:size]
    ruleset = _call(libc, _CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for descriptor, rights in opened.rules:
            rule = struct.pack("=Qi", rights & known, descriptor)
            _call(libc, _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
        _call(libc, _RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _call(libc: ctypes.CDLL, number: int, *arguments: object) -> int:
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
