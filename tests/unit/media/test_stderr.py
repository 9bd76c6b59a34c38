"""What ffmpeg says on stderr, and what becomes of it."""

from __future__ import annotations

import pytest

from vidcompute.errors import EncoderFailed, LimitExceeded, StorageFull, UnsupportedMedia
from vidcompute.media.stderr import TAIL_LINES, Stderr, failure


def heard(*lines: str) -> Stderr:
    stderr = Stderr()
    stderr.feed("\n".join(lines).encode())
    stderr.close()
    return stderr


def test_errors_are_counted_and_warnings_are_not():
    stderr = heard("[h264 @ 0x55] [error] top block unavailable", "[swscaler @ 0x7f] [warning] deprecated pixel format")

    assert stderr.errors == 1
    assert len(stderr.tail) == 2


def test_what_good_files_cause_is_not_an_error():
    assert heard("[h264 @ 0x55] [error] mmco: unref short failure").errors == 0


def test_only_the_end_is_kept():
    stderr = heard(*(f"line {n}" for n in range(1000)))

    assert len(stderr.tail) == TAIL_LINES
    assert stderr.tail[-1] == "line 999"


def test_a_line_without_end_cannot_fill_the_memory():
    stderr = Stderr()

    for _ in range(100):
        stderr.feed(b"x" * 10_000)

    assert len(stderr._rest) <= 500


def test_the_cause_is_told_and_not_its_echoes():
    stderr = heard(
        "[libx264 @ 0x5581] [error] width not divisible by 2 (3x3)",
        "[fc#0 @ 0x1] [error] Error sending frames to consumers: Invalid argument",
        "[fc#0 @ 0x1] [error] Task finished with error code: -22 (Invalid argument)",
    )

    error = failure(234, stderr, argv="ffmpeg -i x")

    assert type(error) is EncoderFailed
    assert error.detail == "ffmpeg ended with exit code 234: width not divisible by 2 (3x3)"
    assert error.evidence["argv"] == "ffmpeg -i x"
    assert error.evidence["exit_code"] == 234
    assert "Task finished" in error.evidence["stderr_tail"]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("[out#0/mp4 @ 0x1] [error] Error writing trailer: No space left on device", StorageFull),
        ("[vost#0:0 @ 0x1] [error] Error while opening encoder: Cannot allocate memory", LimitExceeded),
        (
            "[fatal] Nothing was written into output file, because at least one of its streams received no packets.",
            UnsupportedMedia,
        ),
        ("[in#0 @ 0x1] [error] Error opening input: Invalid data found when processing input", UnsupportedMedia),
    ],
)
def test_telling_lines_become_telling_errors(line, kind):
    assert type(failure(1, heard(line), argv="")) is kind


def test_an_encoder_that_does_not_open_is_not_the_files_fault():
    stderr = heard(
        "[libx264 @ 0x55] [error] Error setting preset/tune no-such/(null).",
        "[vost#0:0/libx264 @ 0x55] [enc:libx264 @ 0x56] [error] Error while opening encoder - maybe incorrect parameters",
        "[out#0/mp4 @ 0x57] [error] Nothing was written into output file, because at least one of its streams "
        "received no packets.",
    )

    error = failure(234, stderr, argv="")

    assert type(error) is EncoderFailed
    assert error.detail.endswith("Error setting preset/tune no-such/(null)")


def test_silence_is_admitted():
    assert failure(1, heard(), argv="").detail.endswith("it gave no reason")
