"""Roles and the database of a fresh server. Safe to repeat, and to run from several processes."""

from __future__ import annotations

import psycopg
from psycopg import errors as pg
from psycopg import sql

from vidcompute.errors import StoreDown


async def ensure_database(admin_dsn: str, *, name: str, owner: str, app: str) -> None:
    """Make the database `name`, its `owner`, and the `app` role that may change rows only, where they are missing."""
    try:
        async with await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True) as connection:
            # Its privileges are set last: a database without them was left half-made by a crash.
            cursor = await connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s AND datacl IS NOT NULL", (name,)
            )
            if await cursor.fetchone() is not None:
                return
            for role in (owner, app):
                await _ensure_role(connection, role)
            await _ensure_named(
                connection, sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
            )
            async with connection.transaction():
                # Only our two roles get in.
                await connection.execute(
                    sql.SQL(
                        "REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {app}"
                    ).format(database=sql.Identifier(name), app=sql.Identifier(app))
                )
    except psycopg.OperationalError as error:
        raise StoreDown(f"the embedded database refused its administrator: {str(error).splitlines()[0]}") from error


async def _ensure_role(connection: psycopg.AsyncConnection, role: str) -> None:
    # Row level security must bind both: neither is a superuser, neither may bypass it.
    await _ensure_named(
        connection,
        sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS").format(sql.Identifier(role)),
    )


async def _ensure_named(connection: psycopg.AsyncConnection, statement: sql.Composed) -> None:
    try:
        await connection.execute(statement)
    except (pg.DuplicateObject, pg.DuplicateDatabase, pg.UniqueViolation):
        # There already, or made by another process at the same moment.
        return
