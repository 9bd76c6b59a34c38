"""Jobs in the states that tests of the store begin from."""

from __future__ import annotations

from vidcompute.domain.job import JobSpec
from vidcompute.errors import Problem

TENANT = "default"
SPEC = JobSpec(input="https://example.com/beach.mp4", tags={"team": "ads"})
PROBLEM = Problem(
    code="encoder_failed",
    title="The encoder failed",
    detail="chunk 0 exited 1",
    hint="Look at the attempt.",
    retryable=True,
    evidence={"argv": ["ffmpeg"], "stderr_tail": "boom\0"},
)


async def new_job(job_store, *, spec=SPEC, name="beach.mp4", tenant_id=TENANT):
    created = await job_store.create(tenant_id=tenant_id, spec=spec, name=name)
    return created.job


async def running_job(job_store, **fields):
    job = await new_job(job_store, **fields)
    begun = await job_store.begin(job.id, node="node-1")
    assert begun is not None
    return begun


async def fail(job_store, job, **how):
    options = {"counted": True, "retry_at": None, "dead": False} | how
    await job_store.fail(job.id, job.attempt, PROBLEM, **options)


def kinds(events):
    return [(event.seq, event.kind, event.data.get("status")) for event in events]
