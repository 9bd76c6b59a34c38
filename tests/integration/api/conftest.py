"""The API over a real Postgres, a real folder of blobs and the memory queue."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.unit.api.fakes import CountingMetrics, SilentLog
from vidcompute.api.app import create_app
from vidcompute.api.settings import ApiSettings
from vidcompute.blobs.local import LocalBlobs
from vidcompute.domain.placement import Node
from vidcompute.domain.retry import Backoff
from vidcompute.domain.task import Resources
from vidcompute.queue.memory import MemoryQueue
from vidcompute.store.feed import EventFeed
from vidcompute.store.frames import FrameStore
from vidcompute.store.jobs import JobStore
from vidcompute.store.search import SearchStore
from vidcompute.store.uploads import UploadStore

SPEC = {"input": "https://example.com/films/beach.mp4?token=1"}
JOBS = "/api/v1/jobs"


@dataclass
class Bench:
    """The application and everything it stands on."""

    app: FastAPI
    client: httpx.AsyncClient
    jobs: JobStore
    frames: FrameStore
    uploads: UploadStore
    queue: MemoryQueue
    blobs: LocalBlobs
    stopping: asyncio.Event
    metrics: CountingMetrics
    log: SilentLog
    checks: dict

    async def submit(self, **fields) -> dict:
        response = await self.client.post(JOBS, json={**SPEC, **fields})
        assert response.status_code == 202, response.text
        return response.json()

    async def running(self, **fields) -> tuple[str, int]:
        """A submitted job's id and its first attempt."""
        job = await self.submit(**fields)
        started = await self.jobs.begin(job["id"], node="n1")
        return job["id"], started.attempt

    async def published(self, **files: bytes) -> str:
        """A job that has published `files` (and a master playlist) and succeeded."""
        job_id, attempt = await self.running()
        prefix = f"default/jobs/{job_id}/{attempt}"
        for name, data in {"master.m3u8": b"#EXTM3U\n", **files}.items():
            await self.blobs.put_bytes(f"{prefix}/{name}", data)
        parts = {"hls": {"status": "succeeded", "playable": True}, "context": {"status": "succeeded"}}
        await self.jobs.publish(job_id, attempt, published=prefix, parts=parts, renditions=[], warnings=[])
        await self.jobs.succeed(job_id, attempt)
        return job_id


@pytest.fixture
def settings(tmp_path) -> ApiSettings:
    return ApiSettings(max_upload_bytes=1_000_000, version="1.2.3", heartbeat_s=0.2)


@pytest.fixture
async def bench(database, database_dsn, job_store, frame_store, clock, settings, tmp_path) -> AsyncIterator[Bench]:
    queue = MemoryQueue(backoff=Backoff(1, 10, 4), clock=lambda: 0.0, random=lambda: 0.5)
    blobs = LocalBlobs(tmp_path / "blobs", secret=b"s" * 32)
    uploads, stopping = UploadStore(database, clock=clock), asyncio.Event()
    metrics, log, checks = CountingMetrics(), SilentLog(), {"database": "ok"}

    async def nodes():
        return [Node("local", Resources(4, 0, 8 << 30), Resources(3, 0, 7 << 30))]

    async def ready():
        return checks

    async with EventFeed(database_dsn) as feed:
        app = create_app(
            jobs=job_store,
            frames=frame_store,
            search=SearchStore(database),
            uploads=uploads,
            feed=feed,
            queue=queue,
            blobs=blobs,
            nodes=nodes,
            metrics=metrics,
            metrics_text=lambda accept: (b"jobs_total 0\n", "text/plain; version=0.0.4"),
            ready=ready,
            settings=settings,
            clock=clock,
            stopping=stopping,
            log=log,
        )
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield Bench(app, client, job_store, frame_store, uploads, queue, blobs, stopping, metrics, log, checks)


@asynccontextmanager
async def serving(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    """The application behind a real server on loopback: streams arrive as they are made."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    config = uvicorn.Config(bench.app, log_config=None, lifespan="off", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    server.capture_signals = nothing  # the test runner keeps its signal handlers
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve([listener]))
        try:
            base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=20) as client:
                yield client
        finally:
            bench.stopping.set()
            server.should_exit = True
            await asyncio.wait([serving])
            listener.close()


class nothing:  # noqa: N801
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


__all__ = ["Bench", "replace", "serving"]
