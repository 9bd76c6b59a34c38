"""Every clip of a folder through a real service, one after the other: what was expected, what came out, at what cost.

A folder made for this has a MANIFEST.tsv with the columns `file` and `expected`; any other folder is walked, with
nothing expected. Exit 0 if the service survived everything and nothing disagrees that must agree.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from vidcompute import app
from vidcompute.monitor import setup_logging

#: Clips of these families are ordinary video: they must succeed and verify.
MUST_SUCCEED = ("nat_", "edit_", "scr_", "spk_", "deriv_")
_TERMINAL = {"succeeded", "failed", "canceled"}
_SKIPPED_SUFFIXES = {".tsv", ".md", ".json", ".txt"}


@dataclass(slots=True)
class Result:
    """One clip's way through the service."""

    file: str
    expected: str
    outcome: str = "hung"
    code: str = ""
    detail: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    frames: int = 0
    descriptions: int = 0
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether the outcome is what the manifest asks for."""
        ok = self.outcome == "succeeded"
        clear = self.outcome == "failed" and bool(self.code) and self.code not in {"internal_error", "worker_lost"}
        if not self.expected or "ok-or" in self.expected or " or " in self.expected:
            return ok or clear
        return clear if self.expected.startswith("clear error") else ok


def expectations(media: Path) -> Iterator[tuple[str, str]]:
    """Names relative to the folder, with what is expected of them."""
    manifest = media / "MANIFEST.tsv"
    if manifest.exists():
        with manifest.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield row["file"], row["expected"]
        return
    for path in sorted(media.rglob("*")):
        if path.is_file() and path.suffix.lower() not in _SKIPPED_SUFFIXES:
            yield str(path.relative_to(media)), ""


def tree_cpu_s() -> float:
    """CPU seconds of this process and of all descendants, the living and those that were waited for."""
    tick = os.sysconf("SC_CLK_TCK")
    parents: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
        times[int(entry.name)] = sum(map(int, fields[11:15])) / tick
    total, todo = 0.0, [os.getpid()]
    while todo:
        pid = todo.pop()
        total += times.get(pid, 0.0)
        todo += parents.get(pid, [])
    return total


async def one(client: httpx.AsyncClient, path: Path, result: Result, *, spec: dict[str, Any], limit_s: float) -> None:
    """Submit one file and wait for its end."""
    begin_s, begin_cpu_s = time.monotonic(), tree_cpu_s()
    with path.open("rb") as file:
        answer = await client.post("/api/v1/jobs", data={"spec": json.dumps(spec)}, files={"file": (path.name, file)})
    if answer.status_code != httpx.codes.ACCEPTED:
        problem = answer.json()
        result.outcome, result.code, result.detail = "failed", problem.get("code", ""), problem.get("detail", "")
        result.wall_s = time.monotonic() - begin_s
        return
    job_id = answer.json()["id"]
    job = answer.json()
    while job["status"] not in _TERMINAL and time.monotonic() - begin_s < limit_s:
        await asyncio.sleep(0.1)
        job = (await client.get(f"/api/v1/jobs/{job_id}")).json()
    result.wall_s, result.cpu_s = time.monotonic() - begin_s, tree_cpu_s() - begin_cpu_s
    if job["status"] in _TERMINAL:
        result.outcome = job["status"]
    error = job.get("error") or {}
    result.code, result.detail = error.get("code", ""), error.get("detail", "")
    context = job["parts"]["context"]
    result.frames, result.descriptions = context.get("frames") or 0, context.get("descriptions") or 0
    result.warnings = [str(warning.get("code")) for warning in job["warnings"]]
    if result.outcome == "succeeded":
        await _judge(client, job, result)


async def _judge(client: httpx.AsyncClient, job: dict[str, Any], result: Result) -> None:
    """What a job that says it succeeded must have."""
    if job["parts"]["context"]["status"] != "succeeded":
        result.problems.append(f"context {job['parts']['context']['status']}")
    master = await client.get(job["parts"]["hls"]["url"])
    if master.status_code != httpx.codes.OK or "#EXT-X-STREAM-INF" not in master.text:
        result.problems.append("no master playlist")
    if result.frames == 0:
        result.problems.append("no frame rows")


@asynccontextmanager
async def service(data_dir: Path, cpu: float | None) -> AsyncIterator[httpx.AsyncClient]:
    """A service of our own on a free port, and a client to it."""
    setup_logging("error")
    config = app.load_config(None, {"data_dir": data_dir, "port": 0, "cpu": cpu, "log_level": "error"})
    async with (
        app.running(config) as running,
        httpx.AsyncClient(base_url=running.base_url, timeout=600, trust_env=False) as client,
    ):
        yield client


async def campaign(arguments: argparse.Namespace) -> list[Result]:
    """All clips in turn."""
    media = arguments.media.resolve()
    spec = {"preset": arguments.preset, "max_attempts": 1}
    results = []
    with TemporaryDirectory(prefix="vidcompute-campaign-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        async with service(data, None) as client:
            for name, expected in expectations(media):
                if arguments.only and not any(part in name for part in arguments.only):
                    continue
                result = Result(name, expected)
                await one(client, media / name, result, spec=spec, limit_s=arguments.limit_s)
                if (await client.get("/healthz")).status_code != httpx.codes.OK:
                    result.problems.append("service not healthy")
                left = [entry.name for entry in (data / "scratch").iterdir()]
                if left:
                    result.problems.append(f"scratch: {left}")
                results.append(result)
                print(line(result), flush=True)
    return results


def line(result: Result) -> str:
    """One row of the table."""
    verdict = "ok " if result.agrees and not result.problems else "BAD"
    said = "; ".join([*result.problems, *result.warnings, result.detail])
    return (
        f"{verdict} {result.file[:44]:44} {result.expected[:18]:18} {result.outcome:9} {result.code[:19]:19} "
        f"{result.wall_s:7.1f} {result.cpu_s:7.1f} {result.frames:6} {result.descriptions:5}  {said[:110]}"
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="parts of file names")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--limit-s", type=float, default=1200.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not str(arguments.media) or not arguments.media.is_dir():
        parser.error("MEDIA must name a folder of clips: make campaign MEDIA=/path/to/clips")
    results = asyncio.run(campaign(arguments))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    bad = [result for result in results if not result.agrees or result.problems]
    musts = [r for r in bad if Path(r.file).name.startswith(MUST_SUCCEED) or r.outcome == "hung"]
    print(f"{len(results)} clips, {len(results) - len(bad)} as expected, {len(bad)} to look at:")
    for result in bad:
        print(" ", line(result))
    return 1 if musts else 0


if __name__ == "__main__":
    sys.exit(main())
