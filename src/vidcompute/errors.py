"""Every way this product fails, as one tree.

```text
VidcomputeError
├─ InvalidInput            the caller must change something; never retried
│  ├─ InvalidConfig        a configuration key is wrong
│  ├─ InvalidJobSpec       a field of a job spec is wrong
│  ├─ UnsupportedMedia     the bytes are not video that we can decode
│  │  ├─ NoVideo           no video stream (audio only, cover art, a still image)
│  │  └─ EncryptedMedia    the samples are encrypted and no key was given
│  ├─ SourceMissing        the input names nothing that exists
│  ├─ SourceForbidden      the input lies outside what may be read
│  └─ LimitExceeded        larger, longer or more than the limits allow
├─ NotFound                no such object for this tenant
├─ Forbidden               the caller may not do this from where it calls
├─ NotConfigured           this service runs without the part that would do it
├─ Conflict                the object is not in a state that allows this
│  ├─ IdempotencyConflict  an Idempotency-Key came back with another request
│  └─ NotReady             the result is not there yet
├─ Unavailable             something outside failed to answer; retried
│  ├─ StoreDown, QueueDown, BlobsDown
│  ├─ SourceUnreachable    the input's server did not deliver
│  ├─ LlmUnavailable       the vision model did not answer
│  └─ OcrUnavailable       the text reader is not installed
├─ TaskFailed              work started and did not succeed; retried
│  ├─ EncoderFailed        ffmpeg exited non-zero, or wrote too little
│  ├─ OutputInvalid        what was made did not pass verification
│  └─ WorkerLost           the task's process or node vanished
├─ StorageFull             no room to accept or to work
├─ SandboxUnavailable      SANDBOX=required and a layer is missing
├─ Canceled                a person asked for the end
└─ LeaseLost               somebody else owns the job now: stop, write nothing
```

`api` maps an error to an HTTP problem, `coordinator` maps it to ack, retry or bury. Anything outside
the tree is a bug: logged with its traceback, retried, then buried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as data: crosses processes, is stored with the job, and is shown to people.

    `detail` says what is wrong and where, `hint` what to do next. `evidence` holds what an operator
    needs (argv, exit code, the last lines of stderr); it is shown with the attempt, not on the job.
    """

    code: str
    title: str
    detail: str
    hint: str
    retryable: bool
    evidence: dict[str, Any] = field(default_factory=dict)


class VidcomputeError(Exception):
    """Base of the tree. Subclasses state their code, title and default hint."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong inside vidcompute"
    default_hint: ClassVar[str] = "Try again; if it persists, look at the service log for the request id."
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, hint: str | None = None, evidence: dict[str, Any] | None = None) -> None:
        """`detail` names what is wrong and where; `hint` replaces the class's general advice."""
        super().__init__(detail)
        self.detail = detail
        self.hint = hint or self.default_hint
        self.evidence = evidence or {}

    def problem(self) -> Problem:
        """This error as data."""
        return Problem(self.code, self.title, self.detail, self.hint, self.retryable, self.evidence)


class InvalidInput(VidcomputeError):
    """The caller must change something."""

    code = "invalid_input"
    title = "The request is not valid"
    default_hint = "Correct the request and send it again."


class InvalidConfig(InvalidInput):
    """One or more configuration keys are wrong; `detail` lists every one."""

    code = "invalid_config"
    title = "The configuration is not valid"
    default_hint = "Correct the keys named above in vidcompute.yaml or in the environment, then start again."


class InvalidJobSpec(InvalidInput):
    """A field of the job spec is wrong. `field` is a JSON pointer."""

    code = "invalid_spec"
    title = "The job spec is not valid"
    default_hint = "Correct the fields named above; see /docs for the schema."

    def __init__(self, detail: str, *, pointer: str = "", hint: str | None = None) -> None:
        """`pointer` is the JSON pointer (RFC 6901) of the field at fault."""
        super().__init__(detail, hint=hint)
        self.pointer = pointer


class UnsupportedMedia(InvalidInput):
    """The bytes are not video that we can decode."""

    code = "unsupported_media"
    title = "The file is not video that can be decoded"
    default_hint = "Check that the file plays in a video player; re-export it as MP4 (H.264) and submit it again."


class NoVideo(UnsupportedMedia):
    """There is no moving picture in the input."""

    code = "no_video"
    title = "The input has no video"
    default_hint = "Submit a file with a video stream; sound alone, cover art and still images are not accepted."


class EncryptedMedia(UnsupportedMedia):
    """The samples are encrypted."""

    code = "encrypted_media"
    title = "The media is encrypted"
    default_hint = "Submit an unprotected copy: this service holds no decryption keys."


class SourceMissing(InvalidInput):
    """The input names nothing that exists."""

    code = "source_missing"
    title = "The input was not found"
    default_hint = "Check the path or URL; for uploads, finish the upload before submitting the job."


class SourceForbidden(InvalidInput):
    """The input lies outside what this service may read."""

    code = "source_forbidden"
    title = "The input may not be read"
    default_hint = (
        "Use a public http(s) URL, an upload, or a file below a configured FILE_ROOTS folder; "
        "ALLOW_PRIVATE_NETWORKS=true opens private addresses for those who mean it."
    )


class LimitExceeded(InvalidInput):
    """Larger, longer or more than the limits allow."""

    code = "limit_exceeded"
    title = "The input is over a limit"
    default_hint = "Submit something smaller, or ask the operator to raise the limit named above."


class NotFound(VidcomputeError):
    """No such object for this tenant."""

    code = "not_found"
    title = "Not found"
    default_hint = "Check the id; `vidctl ls` lists the jobs that exist."


class Conflict(VidcomputeError):
    """The object is not in a state that allows this."""

    code = "conflict"
    title = "Not possible in this state"
    default_hint = "Look at the object's status first."


class IdempotencyConflict(Conflict):
    """An Idempotency-Key came back with another request."""

    code = "idempotency_conflict"
    title = "The Idempotency-Key was used before"
    default_hint = "Use a new key for a new request; repeat the very same request to find its job."


class NotReady(Conflict):
    """The result is not there yet."""

    code = "not_ready"
    title = "Not ready yet"
    default_hint = "Wait for the job: `vidctl watch ID`, or follow its log stream."


class Forbidden(VidcomputeError):
    """The caller may not do this from where it calls."""

    code = "forbidden"
    title = "Refused"
    default_hint = "Call from a page or program of this service itself, or name the host in ALLOWED_HOSTS."


class NotConfigured(VidcomputeError):
    """This service runs without the part that would do it."""

    code = "not_configured"
    title = "Not configured"
    default_hint = "Use what is there, or ask the operator to configure the part named above."


class Unavailable(VidcomputeError):
    """Something outside failed to answer."""

    code = "unavailable"
    title = "A part of the service does not answer"
    default_hint = "It is retried by itself; if it persists, check `vidctl doctor`."
    retryable = True


class StoreDown(Unavailable):
    """Postgres does not answer."""

    code = "store_down"
    title = "The database does not answer"


class QueueDown(Unavailable):
    """The queue does not answer."""

    code = "queue_down"
    title = "The queue does not answer"


class BlobsDown(Unavailable):
    """The object store does not answer."""

    code = "blobs_down"
    title = "The object store does not answer"


class SourceUnreachable(Unavailable):
    """The input's server did not deliver."""

    code = "source_unreachable"
    title = "The input could not be fetched"
    default_hint = "Check that the URL answers from this machine; it is retried with growing pauses."


class LlmUnavailable(Unavailable):
    """The vision model did not answer."""

    code = "llm_unavailable"
    title = "The vision model does not answer"
    default_hint = "Check LLM_BASE_URL and LLM_API_KEY; the streaming part of the job is not affected."


class OcrUnavailable(Unavailable):
    """The optional text reader is not installed: frames are described without the text on them."""

    code = "ocr_unavailable"
    title = "On-screen text cannot be read"
    default_hint = "Install the extra: pip install 'vidcompute[ocr]'; then describe the job again."
    retryable = False


class TaskFailed(VidcomputeError):
    """Work started and did not succeed."""

    code = "task_failed"
    title = "A task failed"
    default_hint = "It is retried; the attempt shows the last lines of its output."
    retryable = True


class EncoderFailed(TaskFailed):
    """ffmpeg exited non-zero, or wrote too little. Evidence: argv, exit_code, stderr_tail."""

    code = "encoder_failed"
    title = "The encoder failed"


class OutputInvalid(TaskFailed):
    """What was made did not pass verification."""

    code = "output_invalid"
    title = "The result did not pass verification"


class WorkerLost(TaskFailed):
    """The task's process or node vanished."""

    code = "worker_lost"
    title = "The worker was lost"
    default_hint = "It is placed again by itself; repeated losses point at memory limits or a failing node."


class StorageFull(VidcomputeError):
    """No room to accept or to work."""

    code = "storage_full"
    title = "The disk is full"
    default_hint = "Free space in DATA_DIR or lower the retention; work goes on by itself when there is room."
    retryable = True


class SandboxUnavailable(VidcomputeError):
    """SANDBOX=required and a layer is missing on this machine."""

    code = "sandbox_unavailable"
    title = "The sandbox is not complete"
    default_hint = "Use a kernel with Landlock and seccomp, or set SANDBOX=auto to run with the layers there are."


class Canceled(VidcomputeError):
    """A person asked for the end."""

    code = "canceled"
    title = "Canceled"
    default_hint = "Submit it again, or retry it."


class LeaseLost(VidcomputeError):
    """Somebody else owns the job now: stop at once, write nothing."""

    code = "lease_lost"
    title = "The lease was lost"
    retryable = True


def _tree(root: type[VidcomputeError]) -> dict[str, type[VidcomputeError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_problem(problem: Problem) -> VidcomputeError:
    """The error that `problem` was made from, for errors that crossed a process; unknown codes become TaskFailed."""
    kind = _tree(VidcomputeError).get(problem.code, TaskFailed)
    error = kind.__new__(kind)
    VidcomputeError.__init__(error, problem.detail, hint=problem.hint, evidence=problem.evidence)
    return error


def principal(error: BaseException) -> BaseException:
    """The one that decides out of a (nested) group of errors that came together.

    A lost lease, then a wish to end, then a bug, then what is final, then what may be retried; cancellation last,
    because siblings are cancelled by the first failure.
    """
    return min(_leaves(error), key=_rank)


def _rank(leaf: BaseException) -> int:
    if isinstance(leaf, LeaseLost):
        return 0
    if isinstance(leaf, Canceled):
        return 1
    if isinstance(leaf, VidcomputeError):
        return 4 if leaf.retryable else 3
    # By name: this module knows no event loop.
    return 5 if type(leaf).__name__ == "CancelledError" else 2


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
