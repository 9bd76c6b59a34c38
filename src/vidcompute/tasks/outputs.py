"""Content keys: what the same source, plan and encoder made before is checked and taken over, not made again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcompute.blobs.base import Blobs
from vidcompute.errors import EncoderFailed

_MARK = "done.json"


@dataclass(frozen=True, slots=True)
class Output:
    """A stored output of a task: key and size in bytes."""

    key: str
    size_bytes: int


def written(path: Path) -> Path:
    """`path`, if there is something in it. Raises EncoderFailed: a program may exit well and have written nothing."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = 0
    if size == 0:
        raise EncoderFailed(f"the encoder ended without an error and without writing {path.name}")
    return path


async def find(blobs: Blobs, prefix: str) -> dict[str, Any] | None:
    """The result that was stored under `prefix`, if everything it names is still there in full size."""
    if await blobs.head(f"{prefix}/{_MARK}") is None:
        return None
    marked = json.loads(await blobs.get_bytes(f"{prefix}/{_MARK}"))
    for output in marked["outputs"]:
        info = await blobs.head(output["key"])
        if info is None or info.size_bytes != output["size_bytes"]:
            return None
    result: dict[str, Any] = marked["result"]
    return result


async def put(blobs: Blobs, prefix: str, name: str, path: Path, outputs: list[Output]) -> Output:
    """Store the file `path` as `prefix/name`, taking it where the store can, and note it in `outputs`."""
    info = await blobs.put_file(f"{prefix}/{name}", path, move=True)
    outputs.append(Output(info.key, info.size_bytes))
    return outputs[-1]


async def mark(blobs: Blobs, prefix: str, result: dict[str, Any], outputs: list[Output]) -> None:
    """Last of all: say that everything under `prefix` is complete."""
    named = [{"key": output.key, "size_bytes": output.size_bytes} for output in outputs]
    await blobs.put_bytes(f"{prefix}/{_MARK}", json.dumps({"result": result, "outputs": named}).encode())
