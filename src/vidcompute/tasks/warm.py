"""What the zygote loads once for all tasks: the text reader's models, a second of CPU and 100 MB that forks share."""

from __future__ import annotations

import functools

from vidcompute.analysis.ocr import Reader


@functools.cache
def warm_reader() -> Reader:
    """The reader with its models in memory. Raises OcrUnavailable where the extra `ocr` is not installed."""
    reader = Reader(threads=1)
    reader.warm()
    return reader
