"""What an exit of a boxed process means, as an error of the tree."""

from __future__ import annotations

import json
import signal

from vidcompute.errors import LimitExceeded, SandboxUnavailable, TaskFailed, VidcomputeError, WorkerLost
from vidcompute.sandbox.box import EXIT_ORPHAN, EXIT_UNBOXED
from vidcompute.sandbox.policy import BoxPolicy


def verdict(code: int, policy: BoxPolicy, *, what: str, stderr_tail: str = "") -> VidcomputeError | None:
    """Why `what` (a noun for people: "the encoder") ended with `code`, negative for a signal.

    None if the exit is the program's own word, which only its caller can judge. Limits that the input ran into are
    LimitExceeded and not retried; crashes are TaskFailed and are, since the next decoder build or node may do better.
    """
    evidence = {"exit_code": code, "stderr_tail": stderr_tail}
    if code == EXIT_UNBOXED:
        return _unboxed(stderr_tail, what, evidence)
    if code == EXIT_ORPHAN:
        return WorkerLost(f"The process that started {what} died before it", evidence=evidence)
    if code >= 0:
        return None
    match -code:
        case signal.SIGXCPU:
            detail = f"{what} used up its {policy.cpu_s} s of processor time"
            return LimitExceeded(detail, evidence=evidence, hint="Submit a shorter or smaller video.")
        case signal.SIGXFSZ:
            detail = f"{what} wrote more than {policy.file_size_bytes} bytes into one file"
            return LimitExceeded(detail, evidence=evidence, hint="Submit a shorter video or ask for a lower bitrate.")
        case signal.SIGKILL:
            return TaskFailed(
                f"{what} was killed, most likely because the machine ran out of memory", evidence=evidence
            )
        case signal.SIGSYS:
            return TaskFailed(f"{what} tried something that its sandbox forbids and was stopped", evidence=evidence)
        case crash:
            return TaskFailed(f"{what} crashed ({_name(crash)})", evidence=evidence)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _unboxed(stderr_tail: str, what: str, evidence: dict[str, object]) -> VidcomputeError | None:
    """The launcher's last line says which layer; a 126 without it is the program's own."""
    try:
        missing = json.loads(stderr_tail.rstrip().rpartition("\n")[2])["missing"]
        layer, reason = next(iter(missing.items()))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None
    if layer in {"setup", "exec"}:
        return TaskFailed(f"{what} could not be started in its sandbox: {reason}", evidence=evidence)
    return SandboxUnavailable(
        f"{what} was not started: the sandbox layer {layer} is missing ({reason})", evidence=evidence
    )
