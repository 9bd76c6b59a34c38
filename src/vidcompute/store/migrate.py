"""Numbered SQL files, applied once, in order, under a lock; safe to run from any number of processes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg import sql

from vidcompute.errors import InvalidConfig, StoreDown
from vidcompute.store.db import checked_dsn

#: Names the advisory lock; any constant that nobody else uses ("vidc" in ASCII).
_LOCK = 0x76696463
_FILE = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
#: Waiting for another process' migration, and running a long one, are both legitimate.
_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name, its text."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text: an applied file must not change."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def shipped() -> list[Migration]:
    """The migrations of this version of the program, in order."""
    folder = resources.files("vidcompute.store") / "migrations"
    found = [
        Migration(int(match.group(1)), item.name, item.read_text("utf-8"))
        for item in folder.iterdir()
        if (match := _FILE.match(item.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


async def migrate(owner_dsn: str, *, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Bring the database up to date as its owner; returns the names applied now.

    Each file is one transaction. Raises InvalidConfig if an applied file has changed or the database is newer than
    this program, StoreDown if it does not answer.
    """
    wanted = shipped() if migrations is None else list(migrations)
    try:
        async with await psycopg.AsyncConnection.connect(checked_dsn(owner_dsn), autocommit=True) as connection:
            await connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(f"{_TIMEOUT_S}s")))
            # Held by the session, not a transaction: it spans all files, and a crash releases it.
            await connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            try:
                return await _apply(connection, wanted)
            finally:
                await connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    except psycopg.OperationalError as error:
        raise StoreDown(f"Postgres: {str(error).strip().splitlines()[0]}") from error


async def _apply(connection: psycopg.AsyncConnection, wanted: Sequence[Migration]) -> list[str]:
    await connection.execute("SET client_min_messages = warning")
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        " version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    cursor = await connection.execute("SELECT version, name, checksum FROM schema_migrations")
    applied = {version: (name, checksum) for version, name, checksum in await cursor.fetchall()}
    _refuse_strange(applied, wanted)
    done = []
    for migration in wanted:
        if migration.version in applied:
            continue
        async with connection.transaction():
            # The text is ours, shipped with the program; nothing from outside gets here.
            await connection.execute(migration.text.encode())
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
        done.append(migration.name)
    return done


def _refuse_strange(applied: dict[int, tuple[str, str]], wanted: Sequence[Migration]) -> None:
    known = {migration.version: migration for migration in wanted}
    for version, (name, checksum) in sorted(applied.items()):
        if version not in known:
            raise InvalidConfig(
                f"the database has migration {name}, which this version of vidcompute does not know",
                hint="Start the newer version that made it, or use another database.",
            )
        if known[version].checksum != checksum:
            raise InvalidConfig(
                f"migration {name} was changed after it was applied to this database",
                hint="Restore the file as released; changes belong in a new migration.",
            )
