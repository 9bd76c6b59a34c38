"""Jobs: submit, look, stop, try again, forget."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as PathParam

from vidcompute.api import files
from vidcompute.api.problems import FieldError, InvalidFields, documented
from vidcompute.api.schemas import JobOptions, JobRequest, QueryText, storable
from vidcompute.api.services import Services, Use
from vidcompute.api.settings import MAX_WAIT_S
from vidcompute.api.sse import first
from vidcompute.api.submit import Submission, discard, read_submission, record
from vidcompute.api.views import AttemptList, AttemptOut, JobCounts, JobOut, JobPage, job_out, job_path
from vidcompute.domain.job import Job, JobStatus
from vidcompute.store.records import JobFilter, JobSort

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

JobId = Annotated[str, PathParam(examples=["job_0199f3a1c2d47b6e8a5f0c1d2e3f4a5b"])]

_SUBMIT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/JobRequest"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "spec": {"$ref": "#/components/schemas/JobOptions"},
                        "file": {"type": "string", "format": "binary", "minLength": 1},
                    },
                },
                "encoding": {"spec": {"contentType": "application/json"}},
            },
        },
    }
}


@router.post(
    "",
    operation_id="submitJob",
    summary="Submit a job",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    openapi_extra=_SUBMIT_BODY,
    responses={**documented(400, 403, 409, 413, 415, 422, 503, 507)},
)
async def submit(
    request: Request,
    response: Response,
    use: Use,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] = None,
    prefer: Annotated[str | None, Header(max_length=200, description="`wait=N`: answer when done, N ≤ 25 s.")] = None,
) -> JobOut:
    """Take in a job as JSON (`input` is a URL), or as multipart/form-data: a `file`, and optionally its `spec`.

    The same Idempotency-Key with the same request gives the same job for 24 hours.
    """
    submission = await read_submission(request, use)
    job, repeated = await _create(use, submission, idempotency_key)
    if not repeated:
        # If this fails, the row is there and reconciliation will find it: the caller's job is not lost.
        await _enqueue(use, job)
    wait_s = _wait_s(prefer)
    if wait_s:
        job = await _settled(use, job, wait_s)
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    response.headers["Location"] = job_path(job.id)
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return await shown(use, job)


async def _create(use: Services, submission: Submission, key: str | None) -> tuple[Job, bool]:
    upload = submission.upload
    try:
        if upload is not None:
            await record(use, upload)
        job, repeated = await use.jobs.create(
            tenant_id=use.tenant_id,
            spec=submission.spec,
            name=submission.name,
            idempotency_key=key,
            body_hash=submission.body_hash,
        )
    except BaseException:
        if upload is not None:
            await discard(use, upload)
        raise
    if repeated and upload is not None:
        await discard(use, upload)
    return job, repeated


async def _enqueue(use: Services, job: Job) -> None:
    try:
        await use.queue.enqueue(job.id, priority=job.priority)
    except Exception as error:  # noqa: BLE001 - the row stays; reconciliation enqueues it, whatever went wrong here
        use.log.warning("job.enqueue_failed", job_id=job.id, error=repr(error))


def _wait_s(prefer: str | None) -> int:
    """Seconds of `Prefer: wait=N` (RFC 7240 §4.3), capped; 0 for none or nonsense, which a preference may be."""
    for item in (prefer or "").split(","):
        name, _, value = item.strip().partition("=")
        if name.lower() == "wait" and value.strip().isdecimal():
            return min(int(value.strip()[:6]), MAX_WAIT_S)
    return 0


async def _settled(use: Services, job: Job, wait_s: int) -> Job:
    """`job` when it is over, or as it is after `wait_s`."""
    try:
        async with asyncio.timeout(wait_s):
            async with use.feed.follow(job.id) as changes:
                # Look after following began: a change in between is not missed.
                while not (job := await use.jobs.get(use.tenant_id, job.id)).status.terminal:
                    await first(changes.wait(wait_s), use.stopping.wait())
                    if use.stopping.is_set():
                        break
    except TimeoutError:
        pass
    return job


async def shown(use: Services, job: Job) -> JobOut:
    """`job` with what only the queue knows."""
    waiting = job.status is JobStatus.QUEUED and job.next_attempt_at is None
    return job_out(job, queue_position=await use.queue.position(job.id) if waiting else None)


@router.get("", operation_id="listJobs", summary="List jobs", response_model=JobPage, responses=documented(422, 503))
async def listing(
    request: Request,
    response: Response,
    use: Use,
    *,
    status: Annotated[str | None, Query(description="Comma-separated statuses.", examples=["failed,running"])] = None,
    q: QueryText = None,
    dead_letter: Annotated[bool | None, Query(description="Only jobs that used up their attempts.")] = None,
    sort: JobSort = JobSort.NEWEST,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """Jobs of this tenant; also by tag: `tag.team=ads`."""
    wanted = JobFilter(status=_statuses(status), tags=tags_of(request), q=q, dead_letter=dead_letter)
    page = await use.jobs.list(use.tenant_id, wanted, sort=sort, limit=limit, cursor=cursor)
    if page.next_cursor:
        following = request.url.include_query_params(cursor=page.next_cursor)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return JobPage(jobs=[await shown(use, job) for job in page.items], next_cursor=page.next_cursor)


def _statuses(value: str | None) -> frozenset[JobStatus]:
    names = {name.strip() for name in (value or "").split(",") if name.strip()}
    if unknown := sorted(names - set(JobStatus)):
        allowed = ", ".join(JobStatus)
        raise InvalidFields([FieldError(pointer="/status", msg=f"{unknown[0][:50]!r} is not one of {allowed}")])
    return frozenset(JobStatus(name) for name in names)


def tags_of(request: Request) -> dict[str, str]:
    """The `tag.k=v` parameters of a query. Raises InvalidFields."""
    tags = {}
    for name, value in request.query_params.multi_items():
        if name.startswith("tag."):
            try:
                tags[storable(name.removeprefix("tag."))] = storable(value)
            except ValueError as error:
                raise InvalidFields([FieldError(pointer=f"/{name!a}", msg=str(error))]) from error
    return tags


@router.get("/counts", operation_id="countJobs", summary="Jobs by status", responses=documented(503))
async def counts(use: Use) -> JobCounts:
    """How many jobs are in each status."""
    return await job_counts(use)


async def job_counts(use: Services) -> JobCounts:
    """The tenant's jobs by status."""
    found = await use.jobs.counts(use.tenant_id)
    return JobCounts(**{status.value: found.get(status, 0) for status in JobStatus}, total=sum(found.values()))


@router.get(
    "/{job_id}",
    operation_id="getJob",
    summary="One job",
    response_model=JobOut,
    responses={304: {"description": "Not changed since the ETag given"}, **documented(404, 422, 503)},
)
async def get(
    job_id: JobId, response: Response, use: Use, if_none_match: Annotated[str | None, Header()] = None
) -> JobOut | Response:
    """A job as it is now. Its ETag changes with everything but the queue position of others."""
    job = await shown_job(use, job_id)
    revision, body = job
    etag = f'W/"{revision}-{body.queue_position if body.queue_position is not None else "x"}"'
    headers = {"ETag": etag, "Cache-Control": files.REVALIDATE}
    if files.matches(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    return body


async def shown_job(use: Services, job_id: str) -> tuple[int, JobOut]:
    """The revision and view of a job."""
    job = await use.jobs.get(use.tenant_id, job_id)
    return job.revision, await shown(use, job)


@router.delete(
    "/{job_id}",
    operation_id="deleteJob",
    summary="Forget a job and its files",
    status_code=HTTPStatus.NO_CONTENT,
    responses=documented(403, 404, 409, 422, 503),
)
async def delete(job_id: JobId, use: Use) -> None:
    """Delete a job that is over: its row, frames, logs, published files and original."""
    removed = await use.jobs.delete(use.tenant_id, job_id)
    await use.queue.cancel(job_id)
    for prefix in removed.prefixes:
        await use.blobs.delete_prefix(prefix)
    for key in removed.keys:
        await use.blobs.delete(key)


@router.post(
    "/{job_id}/cancel",
    operation_id="cancelJob",
    summary="Stop a job",
    status_code=HTTPStatus.ACCEPTED,
    responses=documented(403, 404, 409, 422, 503),
)
async def cancel(job_id: JobId, use: Use) -> JobOut:
    """A queued job is canceled at once; a running one as soon as its processes have ended."""
    job = await use.jobs.request_cancel(use.tenant_id, job_id)
    if job.status.terminal:
        await use.queue.cancel(job_id)
    return await shown(use, job)


@router.post(
    "/{job_id}/retry",
    operation_id="retryJob",
    summary="Try a failed or canceled job again",
    status_code=HTTPStatus.ACCEPTED,
    responses=documented(403, 404, 409, 422, 503),
)
async def retry(job_id: JobId, use: Use) -> JobOut:
    """Queue it again with its failures forgotten; what was already made is not made again."""
    job = await requeue(use, job_id)
    return await shown(use, job)


async def requeue(use: Services, job_id: str) -> Job:
    """Back to the queue, in the store first: the queue only says who should look."""
    job = await use.jobs.retry(use.tenant_id, job_id)
    await _enqueue(use, job)
    return job


@router.get(
    "/{job_id}/attempts", operation_id="listAttempts", summary="How each start ended", responses=documented(404, 422)
)
async def attempts(job_id: JobId, use: Use) -> AttemptList:
    """Every start of a job, with cause and evidence (command, exit code, last lines of output)."""
    found = await use.jobs.attempts(use.tenant_id, job_id)
    return AttemptList(
        attempts=[
            AttemptOut(
                attempt=item.attempt,
                node=item.node,
                started_at=item.started_at,
                finished_at=item.finished_at,
                outcome=item.outcome,
                counted=item.counted,
                problem=item.problem,
            )
            for item in found
        ]
    )


#: Body models that only the hand-written parts of the document refer to.
BODY_MODELS = (JobRequest, JobOptions)
