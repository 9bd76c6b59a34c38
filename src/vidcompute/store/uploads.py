"""Files that callers handed in, before and after a job takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import DictRow

from vidcompute.errors import Conflict, NotFound
from vidcompute.store.db import Database, clean_text


@dataclass(frozen=True, slots=True)
class Upload:
    """A file handed in. `key` is its blob; size and SHA-256 (hex) are known once it is complete."""

    id: str
    tenant_id: str
    name: str
    key: str
    size_bytes: int | None
    sha256: str | None
    complete: bool
    created_at: datetime
    completed_at: datetime | None


class UploadStore:
    """Rows of uploads; the bytes are in the blob store under `key`."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        """`clock` gives aware UTC."""
        self._db = database
        self._now = clock

    async def create(
        self, *, tenant_id: str, upload_id: str, name: str, key: str, size_bytes: int | None = None
    ) -> Upload:
        """A new upload; `size_bytes` where the caller announced it. Raises Conflict if the id is taken."""
        async with self._db.transaction() as connection:
            await connection.execute("INSERT INTO tenants (id) VALUES (%s) ON CONFLICT DO NOTHING", (tenant_id,))
            cursor = await connection.execute(
                "INSERT INTO uploads (id, tenant_id, name, key, size_bytes, created_at) VALUES (%s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (id) DO NOTHING RETURNING *",
                (upload_id, tenant_id, clean_text(name), key, size_bytes, self._now()),
            )
            row = await cursor.fetchone()
        if row is None:
            raise Conflict(f"there is an upload {upload_id!r} already")
        return Upload(**row)

    async def complete(self, tenant_id: str, upload_id: str, *, size_bytes: int, sha256: str | None) -> Upload:
        """Every byte is there. Raises NotFound."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "UPDATE uploads SET complete = true, size_bytes = %s, sha256 = %s, completed_at = %s"
                " WHERE id = %s AND tenant_id = %s RETURNING *",
                (size_bytes, sha256, self._now(), upload_id, tenant_id),
            )
            return _found(await cursor.fetchone(), upload_id)

    async def get(self, tenant_id: str, upload_id: str) -> Upload:
        """One upload. Raises NotFound."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT * FROM uploads WHERE id = %s AND tenant_id = %s", (clean_text(upload_id), tenant_id)
            )
            return _found(await cursor.fetchone(), upload_id)

    async def delete(self, tenant_id: str, upload_id: str) -> Upload:
        """Forget an upload; returns it, for its blob. Raises NotFound."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "DELETE FROM uploads WHERE id = %s AND tenant_id = %s RETURNING *", (clean_text(upload_id), tenant_id)
            )
            return _found(await cursor.fetchone(), upload_id)

    async def abandoned(self, *, before: datetime, limit: int = 500) -> list[Upload]:
        """Uploads, of all tenants, from before that time which no job uses; oldest first."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT u.* FROM uploads AS u WHERE u.created_at < %s AND NOT EXISTS"
                " (SELECT FROM jobs AS j WHERE j.tenant_id = u.tenant_id AND j.spec ->> 'input' = 'upload:' || u.id"
                "  AND j.spec ->> 'input' LIKE 'upload:%%')"
                " ORDER BY u.created_at LIMIT %s",
                (before, limit),
            )
            return [Upload(**row) for row in await cursor.fetchall()]


def _found(row: DictRow | None, upload_id: str) -> Upload:
    if row is None:
        raise NotFound(f"there is no upload {upload_id[:80]!r}", hint="Upload the file first, then submit the job.")
    return Upload(**row)
