"""`vidctl` against the real API over a real connection."""

import asyncio
import json

import pytest

from tests.integration.api.conftest import serving
from vidcompute.cli.main import run
from vidcompute.cli.state import State


@pytest.fixture
def vidctl(bench, capfd):
    """Runs `vidctl` in a thread beside the service; (exit code, standard output, standard error)."""

    async def call(client, *arguments):
        code = await asyncio.to_thread(run, arguments, state=State(server=str(client.base_url)))
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


async def work(bench, files: dict[str, bytes]) -> str:
    """Takes the next job and publishes `files` for it."""
    await bench.queue.wait(20)
    [lease] = await bench.queue.lease(1, for_s=60)
    job = await bench.jobs.begin(lease.job_id, node="n1")
    await bench.jobs.log(job.id, job.attempt, level="warning", message="odd clip")
    await bench.jobs.progress(job.id, job.attempt, phase=None, progress={"percent": 50.0, "frames": 10})
    prefix = f"default/jobs/{job.id}/{job.attempt}"
    for name, data in files.items():
        await bench.blobs.put_bytes(f"{prefix}/{name}", data)
    parts = {"hls": {"status": "succeeded"}, "context": {"status": "succeeded"}}
    await bench.jobs.publish(job.id, job.attempt, published=prefix, parts=parts, renditions=[], warnings=[])
    await bench.jobs.succeed(job.id, job.attempt)
    await bench.queue.ack(lease)
    return job.id


async def test_a_file_goes_in_and_its_result_comes_out(bench, vidctl, tmp_path):
    movie = tmp_path / "my film.mp4"
    movie.write_bytes(b"movie" * 50_000)
    files = {"master.m3u8": b"#EXTM3U\n", "v0_00000.m4s": b"x" * 300_000, "anchors/a_0.jpg": b""}

    async with serving(bench) as client, asyncio.TaskGroup() as group:
        group.create_task(work(bench, files))
        submitted = await vidctl(client, "submit", str(movie), "--tag", "team=ads", "--wait")
        job_id = submitted[1].strip()
        shown = await vidctl(client, "status", job_id, "--json")
        listed = await vidctl(client, "ls", "--tag", "team=ads")
        logged = await vidctl(client, "logs", job_id, "-f")
        fetched = await vidctl(client, "download", job_id, "-o", str(tmp_path / "out"))
        again = await vidctl(client, "download", job_id, "-o", str(tmp_path / "out"), "--only", "*.m4s")

    assert submitted[0] == 0
    assert "odd clip" in submitted[2]
    assert json.loads(shown[1])["name"] == "my film.mp4"
    assert job_id in listed[1]
    assert "odd clip" in logged[1]
    assert (fetched[0], again[0]) == (0, 0)
    assert {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    } == files


async def test_what_goes_wrong_has_its_own_exit_code(bench, vidctl, tmp_path):
    big = tmp_path / "big.mp4"
    big.write_bytes(b"x" * 4_000_000)

    async with serving(bench) as client:
        missing = await vidctl(client, "status", "job_0199f3a1c2d47b6e8a5f0c1d2e3f4a5b")
        refused = await vidctl(client, "submit", str(big))
        wrong = await vidctl(client, "submit", "ftp://a/b")
        job = await bench.submit()
        not_over = await vidctl(client, "rm", job["id"])
        canceled = await vidctl(client, "cancel", job["id"])
        watched = await vidctl(client, "watch", job["id"])
    stopped = await vidctl(client, "ls")

    assert (missing[0], refused[0], wrong[0], not_over[0]) == (4, 1, 2, 1)
    assert "MAX_UPLOAD_BYTES" in refused[2]
    assert "/input" in wrong[2]
    assert (canceled[0], watched[0]) == (0, 3)
    assert json.loads(watched[1].splitlines()[-1])["event"] == "end"
    assert stopped[0] == 6


async def test_the_service_at_a_glance(bench, vidctl):
    async with serving(bench) as client:
        code, out, _ = await vidctl(client, "status")

    assert code == 0
    assert "vidcompute 1.2.3" in out
    assert "3 / 4" in out
