"""What ffmpeg's stderr says: counted, kept to a tail, and turned into one sentence.

With `-loglevel level+warning` a line reads `[h264 @ 0x5581…] [error] top block unavailable`.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from vidcompute.errors import EncoderFailed, LimitExceeded, StorageFull, UnsupportedMedia, VidcomputeError

TAIL_LINES = 60
_LINE_CHARS = 500

_LEVEL = re.compile(r"\[(?P<level>error|fatal|panic)\] ?(?P<text>.*)")
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")

#: Lines that name a consequence; the cause came before.
_ECHOES = (
    "Error sending frames to consumers",
    "Task finished with error code",
    "Terminating thread with return code",
    "Could not open encoder before EOF",
    "Error while opening encoder",
    "Error while filtering",
    "Nothing was written into output file",
    "Conversion failed",
    "Error muxing a packet",
    "Error closing file",
    "Error opening output file",
    "Last message repeated",
)

#: Errors that a good file may cause: open groups before a chunk's first keyframe, or a recording's first pictures.
_HARMLESS = (
    "mmco: unref short failure",
    "co located POCs unavailable",
    "reference picture missing during reorder",
    "Missing reference picture, default is",
    "no frame!",
)


@dataclass(slots=True)
class Stderr:
    """The end of what was said, and how many lines of it were errors."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    errors: int = 0
    telling: str = ""
    _rest: bytes = b""

    def feed(self, data: bytes) -> None:
        """Takes bytes in any portions."""
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        self._rest = rest[-_LINE_CHARS:]
        for line in lines:
            self._line(line.decode(errors="replace").strip()[:_LINE_CHARS])

    def close(self) -> None:
        """Takes what came without a line end."""
        self.feed(b"\n")

    def text(self) -> str:
        """The tail as text."""
        return "\n".join(self.tail)

    def _line(self, line: str) -> None:
        if not line:
            return
        self.tail.append(line)
        match = _LEVEL.search(line)
        if match is None or any(harmless in line for harmless in _HARMLESS):
            return
        self.errors += 1
        if not any(echo in line for echo in _ECHOES):
            # The last error before the echoes is the one that ended it.
            self.telling = match["text"].strip() or self.telling


def failure(code: int, stderr: Stderr, *, argv: str) -> VidcomputeError:
    """The error for a non-zero exit: the caller's fault where ffmpeg says so, EncoderFailed otherwise."""
    text = stderr.text()
    said = _ADDRESS.sub("", stderr.telling).rstrip(".") or "it gave no reason"
    evidence = {"argv": argv, "exit_code": code, "stderr_tail": text}
    if "No space left on device" in text:
        return StorageFull("The disk became full while encoding.", evidence=evidence)
    if "Cannot allocate memory" in text:
        hint = "Submit a smaller picture, or give the box more memory."
        return LimitExceeded("The encoder needed more memory than its limit allows.", hint=hint, evidence=evidence)
    # The same words follow an encoder that could not be opened, and that is our fault.
    if "Nothing was written into output file" in text and "[enc:" not in text:
        return UnsupportedMedia(f"Not one picture could be decoded: {said}.", evidence=evidence)
    if "Error opening input" in text:
        return UnsupportedMedia(f"The file could not be opened as video: {said}.", evidence=evidence)
    return EncoderFailed(f"ffmpeg ended with exit code {code}: {said}", evidence=evidence)
