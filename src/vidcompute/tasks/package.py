"""The package task: encoder output in, a verified tree of segments and playlists in the store out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from vidcompute import wire
from vidcompute.blobs.base import Blobs
from vidcompute.domain.plan import Plan
from vidcompute.errors import principal
from vidcompute.media.manifest import Manifest
from vidcompute.media.package import PackageInputs, package
from vidcompute.media.verify import Remark, Verification, verify
from vidcompute.tasks.anchors import ANCHOR_FOLDER, all_anchors, picture_key
from vidcompute.tasks.environment import Task
from vidcompute.tasks.scratch import scratch
from vidcompute.tasks.services import opened_blobs

#: Uploads at once: the store's own limit on connections is far above, the disk's is not.
_UPLOADS = 4


def run(task: Task) -> dict[str, Any]:
    """Result: `{"published": prefix, "renditions": […], "warnings": […], "manifest": …}`."""
    return asyncio.run(_run(task))


async def _run(task: Task) -> dict[str, Any]:
    environment, spec = task.environment, task.spec
    plan = task.param("plan", Plan)
    published = f"{spec.tenant_id}/jobs/{spec.job_id}/{spec.attempt}"
    async with opened_blobs(environment) as blobs:
        with scratch(Path(environment.scratch_dir), spec.id) as folder:
            task.progress("packaging", done=0, total=1)
            inputs = await _inputs(blobs, plan, spec.params["chunks"], spec.params["audio"], folder)
            # Our own files, read with our own bounds-checked reader: no box needed, but no event loop to hold up.
            manifest = await asyncio.to_thread(package, inputs, folder / "out")
            task.progress("verifying", done=0, total=1)
            verification = await asyncio.to_thread(verify, folder / "out", plan)
            # What an earlier, killed package of this very attempt may have left.
            await blobs.delete_prefix(published + "/")
            await _upload(task, blobs, folder / "out", published)
        await _publish_anchors(blobs, task.param("work", str), spec.params["chunks"], published)
    task.log(f"packaged {len(manifest.renditions)} renditions, {len(manifest.audio)} audio tracks: verified")
    return {
        "published": published,
        "renditions": _renditions(manifest),
        "warnings": [*damage(spec.params["chunks"]), *_warnings(verification)],
        "manifest": {"duration_s": float(manifest.duration), "frames": manifest.frames},
    }


async def _inputs(
    blobs: Blobs, plan: Plan, chunks: list[dict[str, Any]], audio: list[dict[str, Any]], folder: Path
) -> PackageInputs:
    async def fetched(key: str, name: str) -> Path:
        path = folder / name
        await blobs.fetch(key, path)
        return path

    video = {
        rung.name: [
            await fetched(chunk["videos"][rung.name]["key"], f"{rung.name}-{number}.mp4")
            for number, chunk in enumerate(chunks)
        ]
        for rung in plan.renditions
    }
    sound = {
        track.name: await fetched(result["key"], f"{track.name}.mp4")
        for track, result in zip(plan.audio, audio, strict=True)
    }
    return PackageInputs(plan, video, sound)


async def _upload(task: Task, blobs: Blobs, out: Path, published: str) -> None:
    files = _files(out)
    done = 0
    turns = asyncio.Semaphore(_UPLOADS)

    async def put(path: Path) -> None:
        nonlocal done
        async with turns:
            await blobs.put_file(f"{published}/{path.relative_to(out)}", path, move=True)
        done += 1
        task.progress("uploading", done=done, total=len(files))

    try:
        async with asyncio.TaskGroup() as group:
            for path in files:
                group.create_task(put(path))
    except BaseExceptionGroup as failed:
        raise principal(failed) from failed


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def _publish_anchors(blobs: Blobs, work: str, chunks: list[dict[str, Any]], published: str) -> None:
    """Pictures of the anchors live with the result: the work folder they were made in does not stay."""
    poster = fallback = ""
    for number, chunk in enumerate(chunks):
        async for anchor in all_anchors(blobs, work, number, batches=chunk["anchor_batches"]):
            target = f"{published}/{ANCHOR_FOLDER}/{anchor.jpeg}"
            await blobs.copy(picture_key(work, number, anchor), target)
            # A black lead-in says nothing about a video.
            fallback = fallback or target
            if not poster and not anchor.facts.black:
                poster = target
    if poster or fallback:
        await blobs.copy(poster or fallback, f"{published}/poster.jpg")


def _renditions(manifest: Manifest) -> list[dict[str, Any]]:
    """The contract's `renditions`."""
    return [
        {
            "name": rung.name,
            "width": rung.width_px,
            "height": rung.height_px,
            "codec": rung.codec,
            "bitrate": rung.bitrate_bps,
            "bytes": rung.size_bytes + rung.init.size_bytes,
            "vmaf": None,
        }
        for rung in manifest.renditions
    ]


def damage(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A warning if the decoder complained in any of `chunks`: what it had to guess is in the result all the same."""
    errors = sum(chunk["decode_errors"] for chunk in chunks)
    if not errors:
        return []
    detail = f"The decoder reported {errors} error(s) in the source: some pictures may be damaged or missing."
    return [wire.plain(Remark("damaged", detail))]


def _warnings(verification: Verification) -> list[dict[str, Any]]:
    return [wire.plain(warning) for warning in verification.warnings]
