"""What the store promises about uploads."""

from __future__ import annotations

import pytest

from tests.integration.store.making import TENANT, new_job
from vidcompute.domain.job import JobSpec
from vidcompute.errors import Conflict, NotFound


async def new_upload(upload_store, upload_id="u1", **fields):
    how = {"tenant_id": TENANT, "name": "a.mp4", "key": f"default/uploads/{upload_id}"} | fields
    return await upload_store.create(upload_id=upload_id, **how)


async def test_an_upload_is_complete_when_its_size_and_digest_are_known(upload_store, clock):
    created = await new_upload(upload_store)
    clock.advance(5)

    await upload_store.complete(TENANT, "u1", size_bytes=42, sha256="ab")

    stored = await upload_store.get(TENANT, "u1")
    assert not created.complete
    assert (stored.complete, stored.size_bytes, stored.sha256) == (True, 42, "ab")
    assert stored.completed_at == clock()


async def test_an_id_can_be_taken_once(upload_store):
    await new_upload(upload_store)

    with pytest.raises(Conflict):
        await new_upload(upload_store, tenant_id="other")


async def test_other_tenants_uploads_do_not_exist(upload_store):
    await new_upload(upload_store)

    for ask in (upload_store.get, upload_store.delete):
        with pytest.raises(NotFound):
            await ask("other", "u1")
    with pytest.raises(NotFound):
        await upload_store.complete("other", "u1", size_bytes=1, sha256=None)


async def test_a_deleted_upload_is_gone(upload_store):
    await new_upload(upload_store)

    deleted = await upload_store.delete(TENANT, "u1")

    assert deleted.key == "default/uploads/u1"
    with pytest.raises(NotFound):
        await upload_store.get(TENANT, "u1")


async def test_an_upload_goes_with_the_last_job_that_uses_it(upload_store, job_store):
    await new_upload(upload_store)
    first, second = [await new_job(job_store, spec=JobSpec(input="upload:u1")) for _ in range(2)]
    for job in (first, second):
        await job_store.request_cancel(TENANT, job.id)

    kept = await job_store.delete(TENANT, first.id)
    await upload_store.get(TENANT, "u1")
    gone = await job_store.delete(TENANT, second.id)

    assert kept.keys == ()
    assert gone.keys == ("default/uploads/u1",)
    with pytest.raises(NotFound):
        await upload_store.get(TENANT, "u1")


async def test_old_uploads_that_no_job_uses_are_abandoned(upload_store, job_store, clock):
    await new_upload(upload_store, "used")
    await new_upload(upload_store, "unused")
    await new_job(job_store, spec=JobSpec(input="upload:used"))
    clock.advance(60)
    await new_upload(upload_store, "young")

    abandoned = await upload_store.abandoned(before=clock())

    assert [upload.id for upload in abandoned] == ["unused"]
