"""What gathers dust: expired idempotency keys, uploads that no job took, and what cut-short writes left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from vidcompute.blobs.base import Blobs
from vidcompute.errors import VidcomputeError
from vidcompute.monitor import get_logger
from vidcompute.store.jobs import JobStore
from vidcompute.store.uploads import UploadStore


@dataclass(frozen=True, slots=True)
class HousekeepingSettings:
    """How often, and how old a thing must be to be nobody's."""

    every_s: float = 3600.0
    upload_age: timedelta = timedelta(days=1)


class Housekeeper:
    """`run()` cleans at once and then every `every_s`. Each chore on its own: one that fails does not stop the others."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        uploads: UploadStore,
        blobs: Blobs,
        now: Callable[[], datetime],
        chores: Mapping[str, Callable[[], Awaitable[int]]],
        settings: HousekeepingSettings | None = None,
    ) -> None:
        """`chores` are what the store at hand and this node need besides: a name, and how many things were removed."""
        self._uploads = uploads
        self._blobs = blobs
        self._now = now
        self._settings = settings or HousekeepingSettings()
        self._chores = {"idempotency_keys": jobs.forget_keys, "uploads": self._forget_uploads, **chores}
        self._log = get_logger("maintenance")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(self._settings.every_s)

    async def once(self) -> dict[str, int]:
        """Do every chore; how many things each removed."""
        removed: dict[str, int] = {}
        for name, chore in self._chores.items():
            try:
                removed[name] = await chore()
            except VidcomputeError as error:
                self._log.warning("housekeeping.failed", chore=name, code=error.code, detail=error.detail)
        if any(removed.values()):
            self._log.info("housekeeping.done", **removed)
        return removed

    async def _forget_uploads(self) -> int:
        found = await self._uploads.abandoned(before=self._now() - self._settings.upload_age)
        for upload in found:
            await self._blobs.delete(upload.key)
            await self._uploads.delete(upload.tenant_id, upload.id)
        return len(found)
