"""A running service: roles in one TaskGroup, one way to stop, everything closed when the block ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from typing_extensions import override

from vidcompute.api.app import create_app
from vidcompute.api.settings import ApiSettings
from vidcompute.app.parts import Parts, backoff, ffmpeg_build, open_parts, utc_now, version
from vidcompute.app.web import web_dir
from vidcompute.config import Config, Role, Toggle, load
from vidcompute.coordinator.loop import Coordinator, LoopSettings
from vidcompute.coordinator.run import JobRun, RunSettings
from vidcompute.coordinator.scheduler import TaskScheduler
from vidcompute.coordinator.settle import Settler
from vidcompute.domain.job import Job
from vidcompute.errors import InvalidConfig, VidcomputeError
from vidcompute.maintenance.housekeeping import Housekeeper
from vidcompute.maintenance.reconcile import Reconciler
from vidcompute.media.plan import PlanSettings
from vidcompute.monitor import get_logger, setup_logging
from vidcompute.tasks.scratch import sweep
from vidcompute.tasks.source import evict

ALL_ROLES = frozenset(Role)
#: Open responses get this long on stop; event streams end by themselves before.
_HTTP_GRACE_S = 2
#: A file that is still being written after so long is nobody's: the longest fetch takes six hours.
_HALF_WRITTEN_S = 12 * 3600.0


@dataclass(slots=True)
class Service:
    """A service that is up. `stop()` begins its end; the block of `running` finishes it."""

    base_url: str
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Begin to end. Safe to call twice."""
        self.stopping.set()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: stopping is ours, for all roles together."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        #: Set when connections are accepted, or the attempt to has ended.
        self.up = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.up.set()

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def check(config: Config, roles: Collection[Role]) -> None:
    """Refuse combinations that cannot work. Raises InvalidConfig."""
    if config.redis_url is None and frozenset(roles) != ALL_ROLES:
        raise InvalidConfig(
            "roles can only be split over processes that share a queue, and the queue in memory is not shared",
            hint="Run all roles in one process, or set REDIS_URL.",
        )
    if config.auth is Toggle.AUTO and not config.loopback:
        raise InvalidConfig(
            f"HOST = {config.host} is reachable from other machines, and there are no API keys in this version",
            hint="Listen on 127.0.0.1 (behind a proxy that checks who calls), or say AUTH=off if you mean it.",
        )
    if config.auth is Toggle.REQUIRED:
        raise InvalidConfig("AUTH = required: API keys are not available in this version; allowed: auto, off")


@asynccontextmanager
async def running(config: Config, roles: Collection[Role] = ALL_ROLES) -> AsyncIterator[Service]:
    """A service for the length of the block: ready when it begins, nothing of it left when it ends."""
    check(config, roles)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(config))
        parts = await open_parts(config, stack)
        sweep(parts.folders.scratch)
        port = listener.getsockname()[1]
        host = f"[{config.host}]" if ":" in config.host else config.host
        service = Service(f"http://{host}:{port}")
        server = _server(parts, service)
        async with asyncio.TaskGroup() as group:
            coordinator = group.create_task(_coordinator(parts).run(service.stopping))
            house = [group.create_task(keep) for keep in _housework(parts)]
            web = group.create_task(server.serve([listener]))
            try:
                # Now, not with the first task: its modules take a second, and nobody is waiting for them yet.
                await parts.cluster.open()
                await server.up.wait()
                yield service
            finally:
                service.stop()
                server.should_exit = True
                for keeping in house:
                    keeping.cancel()
                await asyncio.wait([coordinator, web])


def load_config(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Settings from file, environment and `overrides`. Raises InvalidConfig naming every bad key."""
    return load(path=path, overrides=overrides)


async def serve(
    config: Config, roles: Collection[Role] = ALL_ROLES, *, announce: Callable[[Service], None] = lambda _: None
) -> int:
    """Run until SIGTERM or SIGINT; a second signal ends it at once. Returns the exit code."""
    setup_logging(config.log_level)
    log = get_logger("app")
    loop = asyncio.get_running_loop()
    started_s = time.monotonic()
    asked: asyncio.Event = asyncio.Event()

    def on_signal(number: int) -> None:
        if asked.is_set():
            # Children die with us by the kernel; Postgres recovers by its log.
            os._exit(128 + number)
        log.info("service.stopping", signal=signal.Signals(number).name)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    async with running(config, roles) as service:
        log.info("service.ready", url=service.base_url, seconds=round(time.monotonic() - started_s, 3))
        announce(service)
        await asked.wait()
    log.info("service.stopped")
    return 0


@contextlib.contextmanager
def _listen(config: Config) -> Iterator[socket.socket]:
    """The listening socket, bound first: a taken port must not cost a database start."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, config.port))
        except OSError as error:
            raise InvalidConfig(
                f"HOST = {config.host}, PORT = {config.port}: {error.strerror}",
                hint="Another program listens there: stop it, or choose another --port.",
            ) from error
        listener.listen(1024)
        listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
        yield listener
    finally:
        listener.close()


def _server(parts: Parts, service: Service) -> _Server:
    config = parts.config
    app = create_app(
        jobs=parts.store.jobs,
        frames=parts.store.frames,
        search=parts.store.search,
        uploads=parts.store.uploads,
        feed=parts.store.feed,
        queue=parts.queue,
        blobs=parts.blobs,
        nodes=parts.cluster.nodes,
        metrics=parts.metrics,
        metrics_text=parts.metrics.exposition,
        ready=lambda: _ready(parts),
        settings=ApiSettings(
            max_upload_bytes=config.max_upload_bytes,
            loopback_keyless=config.loopback and config.auth is not Toggle.OFF,
            allowed_hosts=config.allowed_hosts,
            cors_origins=config.cors_origins,
            version=version(),
            max_attempts=config.max_attempts,
            web_dir=web_dir(),
            build=(("ffmpeg", parts.ffmpeg.name), ("python", sys.version.split()[0])),
        ),
        clock=utc_now,
        stopping=service.stopping,
        log=get_logger("api"),
    )
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_HTTP_GRACE_S,
        )
    )


async def _ready(parts: Parts) -> dict[str, str]:
    try:
        await parts.store.database.ping()
    except VidcomputeError as error:
        return {"database": error.detail}
    return {"database": "ok"}


def _coordinator(parts: Parts) -> Coordinator:
    config, metrics = parts.config, parts.metrics
    scheduler = TaskScheduler(parts.cluster, metrics=metrics, clock=time.monotonic)
    settings = RunSettings(plan=PlanSettings(), ffmpeg_build=ffmpeg_build(parts.ffmpeg))

    def start(job: Job) -> JobRun:
        return JobRun(
            job,
            jobs=parts.store.jobs,
            frames=parts.store.frames,
            blobs=parts.blobs,
            scheduler=scheduler,
            settings=settings,
            metrics=metrics,
            clock=time.monotonic,
        )

    settler = Settler(
        jobs=parts.store.jobs,
        queue=parts.queue,
        backoff=backoff(config),
        metrics=metrics,
        now=utc_now,
        random=random.random,
    )
    return Coordinator(
        queue=parts.queue,
        jobs=parts.store.jobs,
        scheduler=scheduler,
        settler=settler,
        start=start,
        settings=LoopSettings(
            node=config.node_name, lease_s=config.lease_s, max_jobs=_jobs_at_once(), drain_s=config.drain_s
        ),
        metrics=metrics,
        now=utc_now,
    )


def _jobs_at_once() -> int:
    """One encode takes most of a small machine; the next job probes and the last one packages beside it."""
    return max(3, len(os.sched_getaffinity(0)))


def _housework(parts: Parts) -> Iterator[Coroutine[Any, Any, None]]:
    """What keeps the house for as long as the service runs."""
    jobs, config, blobs = parts.store.jobs, parts.config, parts.blobs
    reconciler = Reconciler(
        jobs=jobs, queue=parts.queue, metrics=parts.metrics, every_s=config.reconcile_s, now=utc_now
    )
    yield reconciler.run()

    async def evict_sources() -> int:
        return await asyncio.to_thread(evict, parts.folders.cache, keep_bytes=config.cache_bytes)

    chores = {"half_written": lambda: blobs.sweep(older_than_s=_HALF_WRITTEN_S), "cached_bytes": evict_sources}
    yield Housekeeper(jobs=jobs, uploads=parts.store.uploads, blobs=blobs, now=utc_now, chores=chores).run()
    if parts.store.server is not None:
        yield parts.store.server.supervise()
