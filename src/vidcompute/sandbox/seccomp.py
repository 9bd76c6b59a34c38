"""The system calls that a box refuses. Standard library only: the launcher loads this before exec.

A deny list, not an allow list: decoders and Python use some two hundred calls that differ by libc, and an allow
list that breaks on an update gets switched off. Refused is what reaches beyond the process: sockets, other
processes, new processes, namespaces and mounts, keys, kernel interfaces with a long history of holes (bpf,
io_uring, userfaultfd). Source: Linux Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import os
import struct

#: Call name → number on x86_64 and on aarch64; 0 where the machine has no such call.
REFUSED: dict[str, tuple[int, int]] = {
    # network: the descriptors given are all the box ever talks through
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "tkill": (200, 130),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # new processes: threads come through clone(CLONE_THREAD), see below
    "fork": (57, 0), "vfork": (58, 0),
    # shared memory and queues of the machine, which other services of the same user may own
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # namespaces, mounts, file handles
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "fanotify_init": (300, 262),
    # kernel interfaces
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "personality": (135, 92), "modify_ldt": (154, 0),
    "iopl": (172, 0), "ioperm": (173, 0), "lookup_dcookie": (212, 18), "vhangup": (153, 58), "syslog": (103, 116),
    # the machine itself
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171),
}  # fmt: skip

#: Calls whose first argument names a process: only this process itself, or 0.
_SELF_ONLY: dict[str, tuple[int, int]] = {"kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261)}
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_IOCTL = (16, 29)
_SIGACTION = (13, 134)

#: Numbers above the newest call known here answer "no such call", which every libc must be ready for.
_NEWEST = 466

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_LOAD, _JUMP_EQUAL, _JUMP_GE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6] - both machines are little-endian.
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24
_CLONE_THREAD = 0x00010000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SIGXCPU, _SIGXFSZ = 24, 25

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def program(machine: str, pid: int) -> bytes:
    """The filter as struct sock_filter[]. Raises OSError for a machine whose call numbers are not known here."""
    if machine not in _AUDIT_ARCH:
        raise OSError(_ENOSYS, f"no seccomp table for {machine}")
    column = 0 if machine == "x86_64" else 1
    refuse = _ERRNO | _EPERM
    lines = [
        _op(_LOAD, _ARCH),
        # Another instruction set has other numbers for the same calls: nothing below would mean what it says.
        _op(_JUMP_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        _op(_RETURN, _KILL_PROCESS),
        _op(_LOAD, _NR),
    ]
    if machine == "x86_64":
        # x32: the same calls again under numbers with bit 30 set.
        lines += [_op(_JUMP_GE, 0x40000000, 0, 1), _op(_RETURN, _KILL_PROCESS)]
    lines += [_op(_JUMP_GE, _NEWEST + 1, 0, 1), _op(_RETURN, _ERRNO | _ENOSYS)]
    # clone3 hides its flags behind a pointer; on ENOSYS libc falls back to clone, whose flags can be read.
    lines += [_op(_JUMP_EQUAL, _CLONE3[column], 0, 1), _op(_RETURN, _ERRNO | _ENOSYS)]
    for numbers in REFUSED.values():
        if numbers[column]:
            lines += [_op(_JUMP_EQUAL, numbers[column], 0, 1), _op(_RETURN, refuse)]
    lines += _when(_CLONE[column], [_op(_LOAD, _ARG0), _op(_JUMP_SET, _CLONE_THREAD, 1, 0), _op(_RETURN, refuse)])
    for numbers in _SELF_ONLY.values():
        themselves = [_op(_LOAD, _ARG0), _op(_JUMP_EQUAL, 0, 2, 0), _op(_JUMP_EQUAL, pid, 1, 0), _op(_RETURN, refuse)]
        lines += _when(numbers[column], themselves)
    # Catching the signals of the limits: ffmpeg would take them for a wish to stop and end in good order, half done.
    catching = [_op(_LOAD, _ARG0), _op(_JUMP_EQUAL, _SIGXCPU, 1, 0), _op(_JUMP_EQUAL, _SIGXFSZ, 0, 1)]
    lines += _when(_SIGACTION[column], [*catching, _op(_RETURN, refuse)])
    # Typing into the terminal that started us.
    typing = [_op(_LOAD, _ARG1), _op(_JUMP_EQUAL, _TIOCSTI, 1, 0), _op(_JUMP_EQUAL, _TIOCLINUX, 0, 1)]
    lines += _when(_IOCTL[column], [*typing, _op(_RETURN, refuse)])
    return b"".join([*lines, _op(_RETURN, _ALLOW)])


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _when(number: int, body: list[bytes]) -> list[bytes]:
    """`body` for one call, then allow it; `body` may end by falling off its end. Other calls skip both."""
    block = [*body, _op(_RETURN, _ALLOW)]
    return [_op(_JUMP_EQUAL, number, 0, len(block)), *block]


def install(libc: ctypes.CDLL) -> None:
    """Refuse these calls in this process from now on; needs no_new_privs. Raises OSError where there is no seccomp."""
    code = program(os.uname().machine, os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    shape = _Program(len(code) // 8, ctypes.addressof(buffer))
    zero = ctypes.c_ulong(0)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(shape), zero, zero) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
