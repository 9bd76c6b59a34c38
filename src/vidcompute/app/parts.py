"""Making the parts of a service from its configuration. Each is opened on a stack and closed in reverse."""

from __future__ import annotations

import hashlib
import platform
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import imageio_ffmpeg
from prometheus_client import CollectorRegistry

from vidcompute import wire
from vidcompute.app.folders import Folders, held, prepare, secret
from vidcompute.blobs.local import LocalBlobs
from vidcompute.cluster.local import LocalCluster
from vidcompute.cluster.machine import detect as detect_machine
from vidcompute.config import Config
from vidcompute.domain.retry import Backoff
from vidcompute.domain.task import Resources
from vidcompute.errors import InvalidConfig
from vidcompute.monitor import Metrics, get_logger
from vidcompute.queue.memory import MemoryQueue
from vidcompute.sandbox.layers import LayerReport, detect
from vidcompute.sandbox.policy import SandboxMode
from vidcompute.store.db import Database
from vidcompute.store.embedded import EmbeddedPostgres
from vidcompute.store.feed import EventFeed
from vidcompute.store.frames import FrameStore
from vidcompute.store.jobs import JobStore
from vidcompute.store.migrate import migrate
from vidcompute.store.search import SearchStore
from vidcompute.store.uploads import UploadStore
from vidcompute.tasks.environment import Limits, TaskEnvironment
from vidcompute.tasks.scratch import remove

#: Imported once by the zygote, so that a task costs a fork and not a second of imports.
PRELOAD = (
    "vidcompute.tasks.main",
    "av",
    "cv2",
    "numpy",
    "psycopg_pool",
)


def utc_now() -> datetime:
    """The wall clock, aware."""
    return datetime.fromtimestamp(time.time(), tz=UTC)


def version() -> str:
    """The installed package's version."""
    return metadata.version("vidcompute")


def ffmpeg_path(config: Config) -> Path:
    """The ffmpeg program. Raises InvalidConfig if it is not there."""
    path = config.ffmpeg or Path(imageio_ffmpeg.get_ffmpeg_exe())
    if not path.is_file():
        raise InvalidConfig(f"FFMPEG = {path}: there is no such program")
    return path


def ffmpeg_build(path: Path) -> str:
    """A name for this very encoder in content keys: another build makes other bytes."""
    stat = path.stat()
    return hashlib.sha256(f"{path.name}:{stat.st_size}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Store:
    """The database and what speaks SQL to it."""

    database: Database
    url: str
    jobs: JobStore
    frames: FrameStore
    search: SearchStore
    uploads: UploadStore
    feed: EventFeed
    #: The embedded server, None with a database of one's own.
    server: EmbeddedPostgres | None


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a role may need."""

    config: Config
    folders: Folders
    ffmpeg: Path
    layers: LayerReport
    metrics: Metrics
    store: Store
    queue: MemoryQueue
    blobs: LocalBlobs
    cluster: LocalCluster


async def open_parts(config: Config, stack: AsyncExitStack) -> Parts:
    """Open everything, cheapest checks first.

    Raises InvalidConfig, Conflict, StorageFull, SandboxUnavailable, StoreDown.
    """
    ffmpeg = ffmpeg_path(config)
    folders = prepare(config.data_dir)
    stack.enter_context(held(config.data_dir))
    key = secret(config.data_dir)
    metrics = Metrics(CollectorRegistry())
    layers = await detect(ffmpeg)
    layers.require(SandboxMode(config.sandbox.value))
    _report(layers, metrics, ffmpeg)
    store = await open_store(config, folders, stack)
    blobs = LocalBlobs(config.blobs_dir, secret=key)
    environment = _environment(config, folders, key=key, ffmpeg=ffmpeg, database_url=store.url)
    cluster = LocalCluster(
        node_id=config.node_name,
        resources=_resources(config),
        environment=wire.plain(environment),
        entry="vidcompute.tasks.main:run",
        preload=PRELOAD,
        notice=get_logger("cluster").warning,
        tidy=lambda task_id: remove(folders.scratch, task_id),
    )
    stack.push_async_callback(cluster.close)
    queue = MemoryQueue(
        backoff=backoff(config),
        clock=time.time,
        random=random.random,
        max_deliveries=64,
    )
    stack.push_async_callback(queue.close)
    return Parts(config, folders, ffmpeg, layers, metrics, store, queue, blobs, cluster)


async def open_store(config: Config, folders: Folders, stack: AsyncExitStack) -> Store:
    """The database, migrated and open."""
    server: EmbeddedPostgres | None = None
    if config.database_url is None:
        server = await stack.enter_async_context(EmbeddedPostgres(folders.postgres))
        owner_url, url = server.owner_url, server.url
    else:
        owner_url = url = config.database_url.get_secret_value()
    await migrate(owner_url)
    database = Database(url)
    await database.open()
    stack.push_async_callback(database.close)
    feed = EventFeed(url)
    await stack.enter_async_context(feed)
    return Store(
        database,
        url,
        JobStore(database, clock=utc_now),
        FrameStore(database),
        SearchStore(database),
        UploadStore(database, clock=utc_now),
        feed,
        server,
    )


async def migrate_store(config: Config) -> list[str]:
    """Bring the schema up to date; the names of the migrations applied."""
    if config.database_url is not None:
        return await migrate(config.database_url.get_secret_value())
    async with EmbeddedPostgres(prepare(config.data_dir).postgres) as server:
        return await migrate(server.owner_url)


def _resources(config: Config) -> Resources | None:
    """What the configuration claims of this machine; None lets the cluster find out."""
    if config.cpu is None:
        return None
    found = detect_machine()
    return Resources(cpu=min(config.cpu, found.cpu), gpu=found.gpu, memory_bytes=found.memory_bytes)


def backoff(config: Config) -> Backoff:
    """The pauses between failures."""
    return Backoff(base_s=config.backoff_base_s, cap_s=config.backoff_cap_s, max_failures=config.max_attempts)


def _environment(config: Config, folders: Folders, *, key: bytes, ffmpeg: Path, database_url: str) -> TaskEnvironment:
    return TaskEnvironment(
        database_url=database_url,
        blobs_dir=str(config.blobs_dir),
        blobs_secret=key.hex(),
        cache_dir=str(folders.cache),
        scratch_dir=str(folders.scratch),
        ffmpeg=str(ffmpeg),
        ffmpeg_build=ffmpeg_build(ffmpeg),
        sandbox=config.sandbox.value,
        limits=Limits(
            max_bytes=config.max_upload_bytes,
            max_duration_s=config.max_duration_s,
            max_pixels=config.max_pixels,
            max_streams=config.max_streams,
            memory_bytes=config.task_memory_bytes,
        ),
        file_roots=tuple(str(root) for root in config.file_roots),
        allow_private_networks=config.allow_private_networks,
        # A fixed count, not the machine's cores: the same chunk encodes to the same bytes on every node.
        threads=4,
        ocr=config.ocr,
    )


def _report(layers: LayerReport, metrics: Metrics, ffmpeg: Path) -> None:
    for name in layers.active:
        metrics.sandbox_layer.labels(name).set(1)
    for name in layers.missing:
        metrics.sandbox_layer.labels(name).set(0)
    metrics.build_info.labels(version(), ffmpeg.name, platform.python_version()).set(1)
    log = get_logger("app")
    if layers.missing:
        log.warning("sandbox.incomplete", active=layers.active, missing=layers.missing)
    else:
        log.info("sandbox.complete", active=layers.active, landlock_abi=layers.landlock_abi)
