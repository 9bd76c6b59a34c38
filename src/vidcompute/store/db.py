"""The connection pool, and the one place where psycopg's errors become ours."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from vidcompute.errors import InvalidConfig, InvalidInput, StorageFull, StoreDown, VidcomputeError

Connection = psycopg.AsyncConnection[DictRow]

#: Longer than any statement of a healthy database; a stuck one must not hold a connection for ever.
STATEMENT_TIMEOUT_S = 30.0


class Database:
    """A pool of connections to one database. Rows are dictionaries."""

    def __init__(self, dsn: str, *, min_size: int = 1, max_size: int = 10, timeout_s: float = 10.0) -> None:
        """`dsn` is a libpq connection string or URL; `timeout_s` bounds the wait for a free connection."""
        self.dsn = checked_dsn(dsn)
        self._timeout_s = timeout_s
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self.dsn,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "connect_timeout": max(2, math.ceil(timeout_s))},
            min_size=min_size,
            max_size=max_size,
            timeout=timeout_s,
            # One round trip per use, and a restart of Postgres costs callers nothing: dead connections are replaced.
            check=AsyncConnectionPool.check_connection,
            configure=_configure,
            open=False,
            name="vidcompute",
        )

    async def __aenter__(self) -> Self:
        """Open the pool. Raises StoreDown if the database does not answer."""
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self.close()

    async def open(self) -> None:
        """Connect. Raises StoreDown if the database does not answer within the timeout."""
        async with _translated():
            try:
                await self._pool.open(wait=True, timeout=self._timeout_s)
            except BaseException:
                await self._pool.close()
                raise

    async def close(self) -> None:
        """Close every connection; waits briefly for those in use."""
        await self._pool.close(timeout=5.0)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction: committed when the block ends, rolled back when it raises.

        Raises StoreDown when the database does not answer, InvalidInput for values that it cannot hold.
        """
        async with _translated(), self._pool.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """Raises StoreDown unless a statement can be run now."""
        async with self.transaction() as connection:
            await connection.execute("SELECT 1")

    async def status(self) -> str:
        """`ok`, or what is wrong, for readiness probes."""
        try:
            await self.ping()
        except VidcomputeError as error:
            return error.detail
        return "ok"


def checked_dsn(dsn: str) -> str:
    """`dsn` as libpq takes it. Raises InvalidConfig; the message never repeats it, for it may hold a password."""
    try:
        conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise InvalidConfig(
            "DATABASE_URL is not a PostgreSQL connection string",
            hint="Use postgresql://user:password@host:5432/database, or leave it empty for the embedded database.",
        ) from error
    return make_conninfo(dsn, application_name="vidcompute")


def jsonb(value: object) -> Jsonb:
    """`value` as a jsonb parameter. What JSON or Postgres cannot hold is replaced, see `storable`."""
    return Jsonb(storable(value), dumps=_dumps)


def storable(value: Any) -> Any:
    """`value` without what jsonb refuses: NUL becomes U+FFFD, lone surrogates too, NaN and infinities become null.

    Text on screen, container tags and file names are hostile: they must never fail the write that carries them.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def clean_text(text: str) -> str:
    """`text` as Postgres can store it."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


async def _configure(connection: Connection) -> None:
    # Set here, not as a start-up option: connection poolers between us and the server refuse those.
    await connection.execute(
        "SELECT set_config('statement_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false)",
        (f"{STATEMENT_TIMEOUT_S:.0f}s", "60s"),
    )
    await connection.commit()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (pg.DiskFull, pg.OutOfMemory) as error:
        raise StorageFull(f"the database has no room left: {_first_line(error)}") from error
    except (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        PoolTimeout,
        PoolClosed,
        pg.IdleInTransactionSessionTimeout,
    ) as error:
        raise StoreDown(f"Postgres: {_first_line(error)}") from error
    except psycopg.DataError as error:
        raise InvalidInput(f"a value cannot be stored: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    # Later lines quote the statement and its values.
    return (str(error).strip() or type(error).__name__).splitlines()[0]
