"""Files that come with their job."""

import asyncio
import hashlib
import json

import pytest

from tests.integration.api.conftest import JOBS, serving
from vidcompute.domain.job import JobStatus

MOVIE = b"\x00\x01movie" * 20_000


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    return f"--cut\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + data + b"\r\n"


HEADERS = {"Content-Type": "multipart/form-data; boundary=cut"}
SPEC = part("spec", json.dumps({"tags": {"a": "b"}}).encode())
FILE = part("file", MOVIE, "../films/beach.mp4")
END = b"--cut--\r\n"


async def blobs(bench) -> list:
    return [blob async for blob in bench.blobs.list("default/")]


@pytest.mark.parametrize("body", [SPEC + FILE, FILE + SPEC])
async def test_spec_and_file_come_in_either_order(bench, body):
    response = await bench.client.post(JOBS, content=body + END, headers=HEADERS)

    job = response.json()
    assert response.status_code == 202
    assert (job["name"], job["tags"]) == ("beach.mp4", {"a": "b"})
    upload = await bench.uploads.get("default", job["spec"]["input"].removeprefix("upload:"))
    assert upload.complete
    assert (upload.size_bytes, upload.sha256) == (len(MOVIE), hashlib.sha256(MOVIE).hexdigest())
    assert await bench.blobs.get_bytes(upload.key) == MOVIE
    assert upload.key == f"default/uploads/{upload.id}"


async def test_a_file_alone_is_enough(bench):
    response = await bench.client.post(JOBS, files={"file": ("a.mov", MOVIE)})

    assert response.status_code == 202
    assert response.json()["name"] == "a.mov"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (SPEC + END, 422, "/file"),
        (FILE + FILE + END, 422, "/file"),
        (FILE + SPEC + SPEC + END, 422, "/spec"),
        (FILE + part("other", b"1") + END, 422, "/other"),
        (FILE + part("spec", b'{"nme": "x"}') + END, 422, "/nme"),
        (FILE + part("spec", b'{"input": "https://a/b"}') + END, 422, "/input"),
        (part("file", b"", "empty.mp4") + END, 422, "/file"),
        (FILE + part("spec", b"{") + END, 400, None),
        (FILE + part("spec", b" " * (1024 * 1024 + 1)) + END, 413, None),
        (part("file", b"x" * 1_000_001, "big.mp4") + END, 413, None),
        (FILE[:5000], 400, None),
        (FILE + SPEC, 400, None),
    ],
)
async def test_a_wrong_body_is_a_problem_and_leaves_no_file(bench, body, status, pointer):
    response = await bench.client.post(JOBS, content=body, headers=HEADERS)

    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert [field["pointer"] for field in response.json()["errors"]] == ([pointer] if pointer else [])
    assert await blobs(bench) == []
    assert (await bench.jobs.counts("default"))[JobStatus.QUEUED] == 0


async def test_a_declared_length_over_the_limit_is_refused_unread(bench):
    async def never():
        raise AssertionError("the body was read")
        yield b""

    headers = {**HEADERS, "Content-Length": str(10**9)}

    response = await bench.client.post(JOBS, content=never(), headers=headers)

    assert response.status_code == 413
    assert "MAX_UPLOAD_BYTES" in response.json()["detail"]


async def test_the_same_file_under_the_same_key_is_the_same_job_and_kept_once(bench):
    headers = {**HEADERS, "Idempotency-Key": "k1"}

    first = await bench.client.post(JOBS, content=SPEC + FILE + END, headers=headers)
    second = await bench.client.post(JOBS, content=FILE + SPEC + END, headers=headers)
    other = await bench.client.post(JOBS, content=part("file", b"other", "b") + SPEC + END, headers=headers)

    assert first.json()["id"] == second.json()["id"]
    assert other.status_code == 422
    assert len(await blobs(bench)) == 1


async def test_a_client_that_goes_away_leaves_nothing(bench):
    async with serving(bench) as client:
        reader, writer = await open_raw(client)
        body = SPEC + FILE
        writer.write(
            f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=cut\r\n"
            f"Content-Length: {len(body) * 2}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()
        await reader.read()
        await client.get("/healthz")

    assert await blobs(bench) == []
    assert (await bench.jobs.counts("default"))[JobStatus.QUEUED] == 0


async def open_raw(client):
    return await asyncio.open_connection(client.base_url.host, client.base_url.port)
