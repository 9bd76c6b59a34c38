"""Jobs over HTTP."""

import asyncio

import pytest

from tests.integration.api.conftest import JOBS, SPEC
from vidcompute.domain.job import JobStatus, Priority
from vidcompute.errors import EncoderFailed, QueueDown
from vidcompute.queue.base import EntryState


async def test_a_submitted_job_is_stored_queued_and_shown(bench):
    response = await bench.client.post(JOBS, json={**SPEC, "priority": "high", "tags": {"team": "ads"}})

    job = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["status"], job["name"], job["queue_position"]) == ("queued", "beach.mp4", 0)
    assert job["parts"]["hls"] == {"status": "pending", "playable": False, "url": None, "dash_url": None}
    assert job["spec"]["input"] == SPEC["input"]
    assert job["created_at"].endswith("Z")
    assert await bench.queue.state(job["id"]) is EntryState.READY
    assert [event.kind for event in await bench.jobs.events("default", job["id"])] == ["state"]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"json": {**SPEC, "heigth": 1}}, 422, "invalid_spec"),
        ({"json": {}}, 422, "invalid_spec"),
        ({"json": {"input": "beach.mp4"}}, 422, "invalid_spec"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "malformed_body"),
        ({"content": b"", "headers": {"Content-Type": "application/json"}}, 400, "malformed_body"),
        ({"content": b"a=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 415, None),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "malformed_body"),
        ({"json": {**SPEC, "name": "x" * 2_000_000}}, 413, "limit_exceeded"),
        ({"json": SPEC, "headers": {"Idempotency-Key": ""}}, 422, "invalid_request"),
        ({"json": SPEC, "headers": {"Idempotency-Key": "k" * 256}}, 422, "invalid_request"),
    ],
)
async def test_a_wrong_submission_is_a_problem_and_leaves_nothing(bench, request_, status, code):
    response = await bench.client.post(JOBS, **request_)

    body = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert body["code"] == (code or "unsupported_content_type")
    assert body["type"] == f"/problems/{body['code']}"
    assert body["instance"] == JOBS
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["hint"]
    assert (await bench.jobs.counts("default"))[JobStatus.QUEUED] == 0


async def test_an_unknown_field_is_named_by_pointer(bench):
    response = await bench.client.post(JOBS, json={**SPEC, "outputs": [{"height": 720, "bitrat": "3M"}]})

    assert response.json()["errors"] == [{"pointer": "/outputs/0/bitrat", "msg": "unknown field 'bitrat'"}]


async def test_the_same_key_and_request_give_the_same_job(bench):
    headers = {"Idempotency-Key": "k1"}

    first = await bench.client.post(JOBS, json=SPEC, headers=headers)
    second = await bench.client.post(JOBS, json={**SPEC, "priority": "normal"}, headers=headers)
    third = await bench.client.post(JOBS, json={**SPEC, "priority": "low"}, headers=headers)

    assert first.json()["id"] == second.json()["id"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert (third.status_code, third.json()["code"]) == (422, "idempotency_conflict")


async def test_a_queue_that_is_down_does_not_lose_the_job(bench, monkeypatch):
    async def down(*_, **__):
        raise QueueDown("no answer")

    monkeypatch.setattr(bench.queue, "enqueue", down)

    response = await bench.client.post(JOBS, json=SPEC)

    assert response.status_code == 202
    assert len(await bench.jobs.unfinished(limit=10)) == 1
    assert bench.log.entries[0][0] == "job.enqueue_failed"


async def test_a_caller_who_prefers_to_wait_gets_the_end(bench):
    async def work():
        await bench.queue.wait(10)
        [lease] = await bench.queue.lease(1, for_s=60)
        started = await bench.jobs.begin(lease.job_id, node="n1")
        await bench.jobs.succeed(started.id, started.attempt)

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        response = await bench.client.post(JOBS, json=SPEC, headers={"Prefer": "respond-async, wait=20"})

    assert response.status_code == 202
    assert response.json()["status"] == "succeeded"
    assert response.json()["progress"]["percent"] == 100
    assert response.headers["preference-applied"] == "wait=20"


async def test_waiting_ends_with_the_service(bench):
    bench.stopping.set()

    response = await bench.client.post(JOBS, json=SPEC, headers={"Prefer": "wait=25"})

    assert response.json()["status"] == "queued"


async def test_jobs_are_listed_by_status_tag_name_and_page(bench):
    ids = [(await bench.submit(name=f"clip {n}", tags={"n": str(n % 2)}))["id"] for n in range(5)]
    await bench.client.post(f"{JOBS}/{ids[0]}/cancel")

    async def listed(**params):
        page = (await bench.client.get(JOBS, params=params)).json()
        return [job["id"] for job in page["jobs"]], page["next_cursor"]

    assert (await listed(status="canceled"))[0] == [ids[0]]
    assert set((await listed(status="queued,canceled"))[0]) == set(ids)
    assert set((await listed(**{"tag.n": "1"}))[0]) == {ids[1], ids[3]}
    assert (await listed(q="CLIP 4"))[0] == [ids[4]]
    seen, cursor = await listed(limit=2)
    while cursor:
        more, cursor = await listed(limit=2, cursor=cursor)
        seen += more
    assert sorted(seen) == sorted(ids)


async def test_the_next_page_is_linked(bench):
    for _ in range(2):
        await bench.submit()

    response = await bench.client.get(JOBS, params={"limit": 1, "status": "queued"})

    link = response.headers["link"].split(">")[0].removeprefix("<")
    assert len((await bench.client.get(link)).json()["jobs"]) == 1
    assert "status=queued" in link


@pytest.mark.parametrize(
    "params",
    [{"status": "done"}, {"limit": 0}, {"limit": 201}, {"cursor": "nonsense"}, {"sort": "size"}, {"q": "\x00"}],
)
async def test_a_wrong_filter_is_a_problem(bench, params):
    response = await bench.client.get(JOBS, params=params)

    assert response.status_code == 422
    assert response.json()["hint"]


async def test_jobs_are_counted_by_status(bench):
    await bench.submit()

    counts = (await bench.client.get(f"{JOBS}/counts")).json()

    assert counts == {"queued": 1, "running": 0, "succeeded": 0, "failed": 0, "canceled": 0, "total": 1}


async def test_an_unchanged_job_is_304_and_a_changed_one_is_not(bench):
    job_id, attempt = await bench.running()
    first = await bench.client.get(f"{JOBS}/{job_id}")
    headers = {"If-None-Match": first.headers["etag"]}

    same = await bench.client.get(f"{JOBS}/{job_id}", headers=headers)
    await bench.jobs.progress(job_id, attempt, phase=None, progress={"percent": 5.0})
    changed = await bench.client.get(f"{JOBS}/{job_id}", headers=headers)

    assert (same.status_code, same.content) == (304, b"")
    assert changed.json()["progress"]["percent"] == 5.0


@pytest.mark.parametrize("job_id", ["job_0199f3a1c2d47b6e8a5f0c1d2e3f4a5b", "nonsense", "job_", "%00", "..%2f"])
async def test_a_job_that_does_not_exist_is_404(bench, job_id):
    for path in ("", "/attempts", "/logs", "/frames", "/hls/master.m3u8", "/downloads"):
        response = await bench.client.get(f"{JOBS}/{job_id}{path}")
        assert response.status_code == 404, (path, response.text)
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_queued_job_is_canceled_at_once_and_leaves_the_queue(bench):
    job = await bench.submit()

    response = await bench.client.post(f"{JOBS}/{job['id']}/cancel")
    again = await bench.client.post(f"{JOBS}/{job['id']}/cancel")

    assert (response.status_code, response.json()["status"]) == (202, "canceled")
    assert response.json()["parts"]["hls"]["status"] == "canceled"
    assert await bench.queue.state(job["id"]) is EntryState.GONE
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


async def test_a_running_job_is_asked_to_end(bench):
    job_id, _ = await bench.running()

    response = await bench.client.post(f"{JOBS}/{job_id}/cancel")

    assert response.json()["status"] == "running"
    assert response.json()["cancel_requested"] is True


async def test_a_failed_job_shows_why_and_is_tried_again(bench):
    job_id, attempt = await bench.running()
    problem = EncoderFailed("ffmpeg exited with 1", evidence={"stderr_tail": ["last line"]}).problem()
    await bench.jobs.fail(job_id, attempt, problem, counted=True, retry_at=None, dead=True)

    failed = (await bench.client.get(f"{JOBS}/{job_id}")).json()
    attempts = (await bench.client.get(f"{JOBS}/{job_id}/attempts")).json()["attempts"]
    retried = await bench.client.post(f"{JOBS}/{job_id}/retry")

    assert failed["error"]["code"] == "encoder_failed"
    assert "evidence" not in failed["error"]
    assert attempts[0]["problem"]["evidence"] == {"stderr_tail": ["last line"]}
    assert (attempts[0]["node"], attempts[0]["counted"]) == ("n1", True)
    assert (retried.status_code, retried.json()["status"], retried.json()["error"]) == (202, "queued", None)
    assert await bench.queue.state(job_id) is EntryState.READY


async def test_only_failed_and_canceled_jobs_are_tried_again(bench):
    job = await bench.submit()

    response = await bench.client.post(f"{JOBS}/{job['id']}/retry")

    assert response.status_code == 409


async def test_a_deleted_job_is_gone_with_its_files(bench):
    job_id = await bench.published(**{"v0_00000.m4s": b"x"})

    response = await bench.client.delete(f"{JOBS}/{job_id}")

    assert (response.status_code, response.content) == (204, b"")
    assert (await bench.client.get(f"{JOBS}/{job_id}")).status_code == 404
    assert [blob async for blob in bench.blobs.list("default/")] == []


async def test_a_job_that_is_not_over_cannot_be_deleted(bench):
    job = await bench.submit()

    assert (await bench.client.delete(f"{JOBS}/{job['id']}")).status_code == 409


async def test_a_wrong_method_names_all_right_ones(bench):
    response = await bench.client.patch(f"{JOBS}/job_1")

    counts = await bench.client.options(f"{JOBS}/counts")

    assert (response.status_code, counts.status_code) == (405, 405)
    assert response.headers["allow"] == "DELETE, GET, HEAD"
    assert counts.headers["allow"] == "GET, HEAD"
    assert response.json()["code"] == "method_not_allowed"


async def test_an_unknown_route_is_a_problem_and_never_a_page(bench):
    response = await bench.client.get("/api/v1/nothing", headers={"Accept": "text/html"})

    assert response.status_code == 404
    assert response.json()["code"] == "no_such_route"


async def test_requests_are_measured_by_template(bench):
    job = await bench.submit()

    await bench.client.get(f"{JOBS}/{job['id']}")
    await bench.client.get("/nothing")

    assert bench.metrics.seen == [
        ("POST", "/api/v1/jobs", 202),
        ("GET", "/api/v1/jobs/{job_id}", 200),
        ("GET", "unmatched", 404),
    ]


async def test_dead_letters_are_listed_and_requeued(bench):
    problem = EncoderFailed("no").problem()
    ids = []
    for _ in range(2):
        job_id, attempt = await bench.running()
        await bench.jobs.fail(job_id, attempt, problem, counted=True, retry_at=None, dead=True)
        ids.append(job_id)

    listed = (await bench.client.get("/api/v1/dead-letters")).json()["dead_letters"]
    some = await bench.client.post("/api/v1/dead-letters/requeue", json={"ids": [ids[0], "job_x"]})
    rest = await bench.client.post("/api/v1/dead-letters/requeue", json={"all": True})

    assert {job["id"] for job in listed} == set(ids)
    assert some.json()["requeued"] == [ids[0]]
    assert [item["pointer"] for item in some.json()["skipped"]] == ["job_x"]
    assert rest.json()["requeued"] == [ids[1]]


async def test_the_queue_is_shown_paused_and_resumed(bench):
    await bench.submit(priority="low")

    paused = (await bench.client.post("/api/v1/system/queue/pause")).json()
    leased = await bench.queue.lease(5, for_s=10)
    resumed = (await bench.client.post("/api/v1/system/queue/resume")).json()

    assert paused["paused"] is True
    assert paused["priorities"]["low"]["ready"] == 1
    assert leased == []
    assert resumed["paused"] is False
    assert (await bench.client.get("/api/v1/system/queue")).json() == resumed


async def test_nodes_and_presets_are_listed(bench):
    nodes = (await bench.client.get("/api/v1/system/nodes")).json()["nodes"]
    presets = (await bench.client.get("/api/v1/presets")).json()

    assert nodes[0]["free"] == {"cpu": 3, "gpu": 0, "memory_bytes": 7 << 30}
    assert [preset["name"] for preset in presets["presets"] if preset["default"]] == ["balanced"]
    assert set(Priority) == {"high", "normal", "low"}
