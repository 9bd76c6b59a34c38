"""Start a Postgres program as another user, tied to the life of its parent. Run by path; standard library only.

`python -I -S pg_launcher.py UID GID SIGNAL PARENT PROGRAM ARG…`: UID `-` keeps the user; SIGNAL is sent to the program
when its parent dies (0: none); PARENT is the parent's process id. Everything that needs our own rights, such as
importing from a private folder, happens before the user is changed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Never returns: becomes the program, or exits with 125 and a reason on stderr."""
    uid, gid, death_signal, parent = argv[:4]
    program = argv[4:]
    tie = _tie() if int(death_signal) and sys.platform == "linux" else None
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if tie is not None:
        # After the user change, which clears it; it survives the exec below.
        tie(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):
            # The parent died before it could be watched.
            sys.exit(125)
    os.umask(0o077)
    try:
        os.execv(program[0], program)  # noqa: S606 - an argv list, no shell
    except OSError as error:
        sys.stderr.write(f"{program[0]}: {error.strerror}\n")
        sys.exit(125)


def _tie() -> Callable[..., int]:
    import ctypes  # noqa: PLC0415 - not needed, and not everywhere there, when nothing is tied

    prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    return prctl


if __name__ == "__main__":
    main(sys.argv[1:])
