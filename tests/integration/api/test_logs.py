"""A job's log: replayed, resumed, followed."""

import asyncio
import json

import pytest

from tests.integration.api.conftest import JOBS, serving
from vidcompute.errors import NoVideo

SSE = {"Accept": "text/event-stream"}


def events(text: str) -> list[tuple[str, int | None, dict]]:
    """(kind, id, data) of each event in a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            number = int(fields["id"]) if "id" in fields else None
            found.append((fields["event"], number, json.loads(fields["data"])))
    return found


async def finished(bench) -> str:
    job_id, attempt = await bench.running()
    await bench.jobs.log(job_id, attempt, level="info", message="half\u2028way", data={"n": 1})
    await bench.jobs.succeed(job_id, attempt)
    return job_id


async def test_a_finished_log_is_replayed_to_its_end(bench):
    job_id = await finished(bench)

    response = await bench.client.get(f"{JOBS}/{job_id}/logs", headers=SSE)

    found = events(response.text)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.text.startswith("retry: 2000\n\n")
    assert [(kind, number) for kind, number, _ in found] == [
        ("state", 1),
        ("state", 2),
        ("log", 3),
        ("state", 4),
        ("end", 5),
    ]
    assert found[2][2]["message"] == "half\u2028way"
    assert found[-1][2]["status"] == "succeeded"


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_reader_resumes_where_it_was(bench, how):
    job_id = await finished(bench)
    headers, params = ({**SSE, "Last-Event-ID": "3"}, {}) if how == "header" else (SSE, {"after": 3})

    response = await bench.client.get(f"{JOBS}/{job_id}/logs", headers=headers, params=params)

    assert [number for _, number, _ in events(response.text)] == [4, 5]


async def test_a_reader_who_has_read_all_is_told_to_stop(bench):
    job_id = await finished(bench)

    response = await bench.client.get(f"{JOBS}/{job_id}/logs", headers={**SSE, "Last-Event-ID": "5"})

    assert (response.status_code, response.content) == (204, b"")


async def test_the_end_of_an_earlier_life_is_not_the_end(bench):
    job_id, attempt = await bench.running()
    await bench.client.post(f"{JOBS}/{job_id}/cancel")
    await bench.jobs.cancel(job_id, attempt)
    await bench.client.post(f"{JOBS}/{job_id}/retry")
    again = await bench.jobs.begin(job_id, node="n1")
    await bench.jobs.succeed(job_id, again.attempt)

    found = events((await bench.client.get(f"{JOBS}/{job_id}/logs", headers=SSE)).text)

    ends = [data["status"] for kind, _, data in found if kind == "end"]
    assert ends == ["succeeded"]
    assert found[-1][0] == "end"


async def test_a_live_log_arrives_as_it_is_written_with_progress_and_heartbeats(bench):
    job_id, attempt = await bench.running()

    async with serving(bench) as client, client.stream("GET", f"{JOBS}/{job_id}/logs", headers=SSE) as response:
        pieces = response.aiter_text()
        seen = await until(pieces, "", '"running"')
        await bench.jobs.progress(job_id, attempt, phase=None, progress={"percent": 42.0})
        seen = await until(pieces, seen, '"percent":42.0')
        seen = await until(pieces, seen, "\n: \n")
        await bench.jobs.log(job_id, attempt, level="info", message="now")
        seen = await until(pieces, seen, '"now"')
        await bench.jobs.succeed(job_id, attempt)
        seen += "".join([piece async for piece in pieces])

    kinds = [(kind, number is not None) for kind, number, _ in events(seen)]
    assert ("progress", False) in kinds
    assert kinds[-1] == ("end", True)


async def until(pieces, seen: str, wanted: str) -> str:
    async with asyncio.timeout(10):
        while wanted not in seen:
            seen += await anext(pieces)
    return seen


async def test_open_streams_end_with_the_service(bench):
    job_id, _ = await bench.running()

    async with (
        serving(bench) as client,
        client.stream("GET", f"{JOBS}/{job_id}/logs", headers=SSE) as log,
        client.stream("GET", "/api/v1/events", headers=SSE) as everything,
    ):
        pieces, others = log.aiter_text(), everything.aiter_text()
        await until(pieces, "", '"running"')
        await until(others, "", "listening")
        bench.stopping.set()
        async with asyncio.timeout(1):
            rest = "".join([piece async for piece in pieces]) + "".join([piece async for piece in others])

    assert rest.count("restarting") == 2


async def test_a_job_that_ends_between_two_reads_still_ends_its_stream(bench, monkeypatch):
    job_id, attempt = await bench.running()
    read = bench.jobs.events

    async def end_then_read(*args, **options):
        monkeypatch.undo()
        await bench.jobs.succeed(job_id, attempt)
        return await read(*args, **options)

    monkeypatch.setattr(type(bench.jobs), "events", lambda _, *args, **options: end_then_read(*args, **options))

    found = events((await bench.client.get(f"{JOBS}/{job_id}/logs", headers=SSE)).text)

    assert found[-1][0] == "end"


async def test_a_job_deleted_under_its_reader_ends_the_stream(bench, monkeypatch):
    job_id = await finished(bench)
    read = bench.jobs.events

    async def delete_then_read(*args, **options):
        await bench.jobs.delete("default", job_id)
        return await read(*args, **options)

    monkeypatch.setattr(type(bench.jobs), "events", lambda _, *args, **options: delete_then_read(*args, **options))

    response = await bench.client.get(f"{JOBS}/{job_id}/logs", headers=SSE)

    assert response.status_code == 200
    assert ": not_found" in response.text


async def test_the_log_as_a_document(bench):
    job_id = await finished(bench)

    lines = await bench.client.get(f"{JOBS}/{job_id}/logs", headers={"Accept": "application/x-ndjson"})
    text = await bench.client.get(f"{JOBS}/{job_id}/logs", headers={"Accept": "text/plain"}, params={"after": 2})
    other = await bench.client.get(f"{JOBS}/{job_id}/logs", headers={"Accept": "image/png"})

    assert [json.loads(line)["event"] for line in lines.text.split("\n")[:-1]] == [
        *["state", "state", "log", "state", "end"]
    ]
    assert "info    half" in text.text
    assert len(text.text.split("\n")) == 4
    assert (other.status_code, other.json()["code"]) == (406, "not_acceptable")


async def test_the_log_of_a_failure_ends_with_its_cause(bench):
    job_id, attempt = await bench.running()
    await bench.jobs.fail(job_id, attempt, NoVideo("only sound").problem(), counted=True, retry_at=None, dead=False)

    text = await bench.client.get(f"{JOBS}/{job_id}/logs", headers={"Accept": "text/plain"})

    assert text.text.endswith(" end     failed no_video: only sound\n")


async def test_the_dashboard_hears_of_every_job(bench):
    async with serving(bench) as client, client.stream("GET", "/api/v1/events", headers=SSE) as response:
        pieces = response.aiter_text()
        await until(pieces, "", "listening")
        job = await bench.submit(name="fresh")
        seen = await until(pieces, "", "event: counts")
        await bench.client.post(f"{JOBS}/{job['id']}/cancel")
        seen += await until(pieces, "", "event: counts")
        await bench.client.delete(f"{JOBS}/{job['id']}")

    found = events(seen)
    assert [data["status"] for kind, _, data in found if kind == "job"] == ["queued", "canceled"]
    assert found[0][2]["name"] == "fresh"
    assert "parts" in found[0][2]
