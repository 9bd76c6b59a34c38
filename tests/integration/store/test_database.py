"""The pool and the migrations, on a real Postgres."""

from __future__ import annotations

import asyncio
import dataclasses

import psycopg
import pytest
from psycopg import sql

from tests.integration.store.making import TENANT, new_job, running_job
from vidcompute.errors import InvalidConfig, InvalidInput, StoreDown
from vidcompute.store.db import Database
from vidcompute.store.migrate import Migration, migrate, shipped
from vidcompute.store.pg_settings import Role

NOWHERE = "postgresql://nobody@/none?host=/nonexistent"


def owner(postgres, name):
    return postgres.url_for(Role.OWNER, database=name)


async def test_a_database_that_does_not_answer_is_down_and_may_be_retried():
    with pytest.raises(StoreDown) as caught:
        async with Database(NOWHERE, timeout_s=0.3):
            pass

    assert caught.value.retryable


async def test_a_dsn_that_is_none_is_refused_without_repeating_it():
    with pytest.raises(InvalidConfig) as caught:
        Database("redis://:hunter2@host/0")

    assert "hunter2" not in str(caught.value.problem())


async def test_connections_that_the_server_cut_are_replaced_unnoticed(database, postgres):
    await database.ping()
    async with await psycopg.AsyncConnection.connect(postgres.url_for(Role.ADMIN), autocommit=True) as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'vidcompute_app' AND pid <> pg_backend_pid()"
        )

    await database.ping()

    assert await database.status() == "ok"


async def test_a_statement_that_takes_too_long_is_down_not_a_bug(database):
    async def dawdle():
        async with database.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = '20ms'")
            await connection.execute("SELECT pg_sleep(5)")

    with pytest.raises(StoreDown):
        await dawdle()


async def test_a_value_that_cannot_be_stored_is_the_callers_mistake(database):
    with pytest.raises(InvalidInput):
        async with database.transaction() as connection:
            await connection.execute("SELECT %s::text", ("a\0b",))


async def test_a_closed_pool_is_down(database_dsn):
    database = Database(database_dsn)
    await database.open()
    await database.close()

    with pytest.raises(StoreDown):
        await database.ping()
    assert await database.status() != "ok"


async def test_the_application_role_changes_rows_and_nothing_else(database, job_store):
    job = await new_job(job_store)

    for statement in (
        "DROP TABLE jobs",
        "ALTER TABLE jobs DISABLE TRIGGER ALL",
        "CREATE TABLE mine (x int)",
        "UPDATE job_counts SET jobs = 0",
        "TRUNCATE events",
        "SELECT * FROM schema_migrations",
        "SET ROLE vidcompute_owner",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.transaction() as connection:
                await connection.execute(statement)

    assert (await job_store.get(TENANT, job.id)).id == job.id


async def test_neither_role_may_pass_row_level_security(database):
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname IN ('vidcompute_app', 'vidcompute_owner')"
            " AND NOT rolsuper AND NOT rolbypassrls AND NOT rolcreaterole AND NOT rolcreatedb"
        )
        assert len(await cursor.fetchall()) == 2


async def test_every_owned_table_names_its_tenant(database):
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
            " AND c.relname NOT IN ('tenants', 'schema_migrations') AND NOT EXISTS (SELECT FROM pg_attribute AS a"
            "  WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull)"
        )
        assert await cursor.fetchall() == []


async def test_polls_use_indexes_not_the_size_of_the_table(database, job_store):
    await running_job(job_store)
    polls = {
        "unfinished": "SELECT id FROM jobs WHERE status IN ('queued', 'running')"
        " AND id > '00000000-0000-0000-0000-000000000000' ORDER BY id LIMIT 10",
        "newest": "SELECT id FROM jobs WHERE tenant_id = 'default' ORDER BY created_at DESC, id DESC LIMIT 10",
        "frames": "SELECT pts FROM frame_context WHERE job_id = '00000000-0000-0000-0000-000000000000'"
        " AND frame_no > 5 ORDER BY frame_no LIMIT 10",
    }
    async with database.transaction() as connection:
        # On a table this small any plan is as good: asked is whether an index can give rows and order by itself.
        for choice in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            await connection.execute(sql.SQL("SET LOCAL {} = off").format(sql.Identifier(choice)))
        for statement in polls.values():
            cursor = await connection.execute("EXPLAIN " + statement)
            plan = "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())

            assert "Index" in plan
            assert "Sort" not in plan


async def test_migrations_are_applied_once_in_order(postgres, empty_database):
    first = await migrate(owner(postgres, empty_database))
    second = await migrate(owner(postgres, empty_database))

    assert first == [migration.name for migration in shipped()]
    assert first[0] == "0001_create_frame_context.sql"
    assert second == []


async def test_four_processes_that_migrate_at_once_apply_each_file_once(postgres, empty_database):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(migrate(owner(postgres, empty_database))) for _ in range(4)]

    applied = [name for task in tasks for name in task.result()]
    assert applied == [migration.name for migration in shipped()]


async def test_the_first_migration_can_be_replayed_on_its_own_result(postgres, empty_database):
    await migrate(owner(postgres, empty_database))

    async with await psycopg.AsyncConnection.connect(owner(postgres, empty_database)) as connection:
        await connection.execute("SET client_min_messages = warning")
        await connection.execute(shipped()[0].text.encode())


async def test_a_file_that_changed_after_it_was_applied_is_refused(postgres, empty_database):
    await migrate(owner(postgres, empty_database))
    changed = [dataclasses.replace(item, text=item.text + "-- later thought\n") for item in shipped()]

    with pytest.raises(InvalidConfig, match="0001_create_frame_context"):
        await migrate(owner(postgres, empty_database), migrations=changed)


async def test_a_database_from_a_newer_version_is_refused(postgres, empty_database):
    newer = [*shipped(), Migration(9999, "9999_future.sql", "SELECT 1")]
    await migrate(owner(postgres, empty_database), migrations=newer)

    with pytest.raises(InvalidConfig, match="9999_future"):
        await migrate(owner(postgres, empty_database))


async def test_a_migration_that_fails_leaves_nothing_of_itself(postgres, empty_database):
    broken = [Migration(1, "0001_broken.sql", "CREATE TABLE half (x int); SELECT 1 / 0")]

    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate(owner(postgres, empty_database), migrations=broken)

    async with await psycopg.AsyncConnection.connect(owner(postgres, empty_database)) as connection:
        cursor = await connection.execute("SELECT to_regclass('half'), (SELECT count(*) FROM schema_migrations)")
        assert await cursor.fetchone() == (None, 0)


async def test_a_server_without_the_application_role_is_served_too(postgres, empty_database):
    text = shipped()[0].text.replace("vidcompute_app", "role_that_nobody_made")

    assert await migrate(owner(postgres, empty_database), migrations=[Migration(1, "0001_x.sql", text)])
