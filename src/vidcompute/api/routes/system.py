"""Nodes, the queue, dead letters, presets."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from pydantic import Field

from vidcompute.api.problems import FieldError, documented
from vidcompute.api.routes.jobs import requeue, shown
from vidcompute.api.schemas import RequeueIn
from vidcompute.api.services import Services, Use
from vidcompute.api.views import JobOut, Out
from vidcompute.domain.job import Codec, JobStatus, Preset, Priority
from vidcompute.domain.task import Resources
from vidcompute.errors import Conflict, NotFound
from vidcompute.queue.base import EntryState
from vidcompute.store.records import JobFilter

router = APIRouter(prefix="/api/v1", tags=["system"])

#: Dead letters looked at in one request; `next_cursor` is for the rest.
_PAGE = 200


class ResourcesOut(Out):
    """CPU cores, GPUs and bytes of memory."""

    cpu: float
    gpu: float
    memory_bytes: int

    @classmethod
    def of(cls, resources: Resources) -> ResourcesOut:
        """From the domain's."""
        return cls(cpu=resources.cpu, gpu=resources.gpu, memory_bytes=resources.memory_bytes)


class NodeOut(Out):
    """A machine that works on jobs."""

    id: str
    alive: bool
    total: ResourcesOut
    free: ResourcesOut
    labels: dict[str, str]


class NodeList(Out):
    """The machines."""

    nodes: list[NodeOut]


class QueueLane(Out):
    """One priority class of the queue."""

    ready: int = 0
    delayed: int = 0
    leased: int = 0
    dead: int = 0
    oldest_ready_s: float | None = None


class QueueOut(Out):
    """The queue, by priority."""

    paused: bool
    priorities: dict[Priority, QueueLane]


class PresetOut(Out):
    """A preset and what it is for."""

    name: Preset
    description: str
    default: bool = False


class PresetList(Out):
    """What `preset` and `codec` may be."""

    presets: list[PresetOut]
    codecs: list[Codec]


class DeadLetterPage(Out):
    """Jobs that used up their attempts, or could not succeed."""

    dead_letters: list[JobOut]
    next_cursor: str | None


class RequeueOut(Out):
    """What became of each id."""

    requeued: list[str]
    skipped: list[FieldError] = Field(description="`pointer` is the job's id.")


@router.get("/system/nodes", operation_id="listNodes", summary="Machines", responses=documented(503))
async def nodes(use: Use) -> NodeList:
    """What each machine has, and what is free now."""
    return NodeList(
        nodes=[
            NodeOut(
                id=node.id,
                alive=node.alive,
                total=ResourcesOut.of(node.total),
                free=ResourcesOut.of(node.free),
                labels=node.labels,
            )
            for node in await use.nodes()
        ]
    )


@router.get("/system/queue", operation_id="getQueue", summary="The queue", responses=documented(503))
async def queue(use: Use) -> QueueOut:
    """Depth and age by priority."""
    return await _queue(use)


async def _queue(use: Services) -> QueueOut:
    stats = await use.queue.stats()
    lanes = {
        priority: QueueLane(
            **{
                state.value: stats.depth.get((priority, state), 0)
                for state in EntryState
                if state is not EntryState.GONE
            },
            oldest_ready_s=stats.oldest_ready_s.get(priority),
        )
        for priority in Priority
    }
    return QueueOut(paused=stats.paused, priorities=lanes)


@router.post(
    "/system/queue/pause", operation_id="pauseQueue", summary="Start no more jobs", responses=documented(403, 503)
)
async def pause(use: Use) -> QueueOut:
    """What runs goes on; what waits keeps its place."""
    await use.queue.pause(paused=True)
    return await _queue(use)


@router.post(
    "/system/queue/resume", operation_id="resumeQueue", summary="Start jobs again", responses=documented(403, 503)
)
async def resume(use: Use) -> QueueOut:
    """The opposite of pause."""
    await use.queue.pause(paused=False)
    return await _queue(use)


@router.get(
    "/dead-letters", operation_id="listDeadLetters", summary="Jobs that gave up", responses=documented(422, 503)
)
async def dead_letters(use: Use, cursor: str | None = None) -> DeadLetterPage:
    """Newest first, each with its error."""
    page = await use.jobs.list(use.tenant_id, _DEAD, limit=_PAGE, cursor=cursor)
    return DeadLetterPage(dead_letters=[await shown(use, job) for job in page.items], next_cursor=page.next_cursor)


_DEAD = JobFilter(status=frozenset({JobStatus.FAILED}), dead_letter=True)


@router.post(
    "/dead-letters/requeue",
    operation_id="requeueDeadLetters",
    summary="Try dead letters again",
    status_code=HTTPStatus.ACCEPTED,
    responses=documented(400, 403, 413, 422, 503),
)
async def requeue_dead(asked: RequeueIn, use: Use) -> RequeueOut:
    """The ids given, or with `{"all": true}` up to 200 at a time; ids that are not dead are skipped and named."""
    ids = asked.ids
    if ids is None:
        ids = [job.id for job in (await use.jobs.list(use.tenant_id, _DEAD, limit=_PAGE)).items]
    requeued, skipped = [], []
    for job_id in dict.fromkeys(ids):
        try:
            await requeue(use, job_id)
            requeued.append(job_id)
        except (NotFound, Conflict) as error:
            skipped.append(FieldError(pointer=job_id, msg=error.detail))
    return RequeueOut(requeued=requeued, skipped=skipped)


@router.get("/presets", operation_id="listPresets", summary="Presets and codecs")
async def presets() -> PresetList:
    """What `preset` and `codec` of a job spec may be."""
    return PresetList(
        presets=[
            PresetOut(name=Preset.FAST, description="Least CPU; files about a fifth larger for the same picture."),
            PresetOut(name=Preset.BALANCED, description="Good pictures at a fair price.", default=True),
            PresetOut(name=Preset.QUALITY, description="Smallest files; several times the CPU of fast."),
        ],
        codecs=list(Codec),
    )
