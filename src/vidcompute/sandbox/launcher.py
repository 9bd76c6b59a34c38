"""Run a program in the box: `python -I -S launcher.py --rule=value … -- program argument…`.

Run by path, not imported: no site-packages, no environment, a few milliseconds over a bare exec. `subprocess` has
`preexec_fn` for this, but that runs Python between fork and exec of a process with threads, where any lock may be
held for ever. `layers.boxed_argv` writes the command line.
"""

from __future__ import annotations

import os
import sys

# The one import besides the standard library is our own package; appended, so it can shadow nothing.
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120

from vidcompute.sandbox import box

#: What a boxed program may see of the environment; nothing here can name a library to load.
_ENVIRONMENT = ("LANG", "LC_ALL", "TZ", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES")


def main(argv: list[str]) -> int:
    """Enter the box and become the program. Returns an exit code only if that failed, or there is no program."""
    divide = argv.index("--")
    rules, command = box.Rules(argv[:divide]), argv[divide + 1 :]
    try:
        # Opened first: the user that we become may not be able to walk to it. The descriptor closes itself on exec.
        program = os.open(command[0], os.O_RDONLY | os.O_CLOEXEC) if command else -1
        _default_signals()
        entered = box.enter(rules, program_fd=program)
    except box.Unboxed as missing:
        return _refuse(missing.layer, missing.reason)
    except OSError as error:
        return _refuse("setup", f"{error.filename}: {error.strerror}")
    if rules.report_fd >= 0:
        os.write(rules.report_fd, entered.report())
        os.close(rules.report_fd)
    if not command:
        return 0
    # TID251 guards against configuration by environment; this forwards a few names and reads none.
    environment = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}  # noqa: TID251
    try:
        os.execve(program, command, environment)  # noqa: S606 - the whole point; argv is a list, no shell
    except OSError as error:
        return _refuse("exec", f"{command[0]}: {error.strerror}")


def _refuse(layer: str, reason: str) -> int:
    """Say as data, on the last line of stderr, why the program did not start (`verdict.py` reads it)."""
    entered = box.Entered()
    entered.missing[layer] = reason
    os.write(2, entered.report())
    return box.EXIT_UNBOXED


def _default_signals() -> None:
    """Python ignores these two, and an ignored signal stays ignored across exec: a full disk would go unnoticed."""
    import ctypes  # noqa: PLC0415 - loaded by box already; importing the signal module would cost its enums

    libc = ctypes.CDLL(None)
    for number in (13, 25):  # SIGPIPE, SIGXFSZ
        libc.signal(number, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
