"""Kill things and look: nothing is lost, nothing is doubled, nothing is left running."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_main_job import frames_of
from tests.fixtures.service import RunningService

pytestmark = pytest.mark.xdist_group("chaos")


def processes() -> Iterator[tuple[int, int, str]]:
    """(pid, parent, command line) of everything that runs."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if fields[0] != "Z":
                yield int(entry.name), int(fields[1]), command


def descendants(root: int) -> dict[int, str]:
    """Everything below a process."""
    table = list(processes())
    found: dict[int, str] = {}
    todo = [root]
    while todo:
        parent = todo.pop()
        for pid, its_parent, command in table:
            if its_parent == parent and pid not in found:
                found[pid] = command
                todo.append(pid)
    return found


def wait_until(condition: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pids: set[int]) -> set[int]:
    return {pid for pid, _, _ in processes() if pid in pids}


def encoder_below(service: RunningService) -> int | None:
    assert service.process is not None
    below = descendants(service.process.pid)
    return next((pid for pid, command in below.items() if "filter_complex" in command and "libx264" in command), None)


def mid_encode(service: RunningService, **spec: Any) -> str:
    """A job whose encoder has made a few frames."""
    job_id = service.submit(preset="balanced", **spec)["id"]
    service.wait(job_id, until=lambda job: (job["progress"]["frame"] or 0) > 10)
    return job_id


def test_after_kill_9_of_the_service_nothing_runs_and_the_next_start_finishes_the_job(
    new_service: Callable[..., RunningService],
):
    service = new_service().start()
    job_id = mid_encode(service)
    assert service.process is not None
    below = set(descendants(service.process.pid))

    service.kill()

    assert wait_until(lambda: not alive(below), within_s=10), [c for p, _, c in processes() if p in alive(below)]
    service.start()
    job = service.wait(job_id)
    rows = frames_of(service, job)
    assert (job["status"], job["attempt"], job["failures"]) == ("succeeded", 2, 0)
    assert [row["frame_no"] for row in rows] == list(range(150))
    assert len({row["pts"] for row in rows}) == 150
    assert list((service.data_dir / "data" / "scratch").iterdir()) == []
    service.stop()


def test_sigterm_releases_the_job_and_ends_everything_within_five_seconds(
    new_service: Callable[..., RunningService],
):
    service = new_service().start()
    job_id = mid_encode(service)
    assert service.process is not None
    below = set(descendants(service.process.pid))

    took_s = service.stop()

    assert took_s < 5
    assert not alive(below)
    service.start()
    job = service.wait(job_id)
    assert (job["status"], job["failures"]) == ("succeeded", 0)
    service.stop()


def test_a_killed_task_costs_only_itself(new_service: Callable[..., RunningService]):
    service = new_service().start()
    job_id = mid_encode(service)
    assert service.process is not None
    encoder = encoder_below(service)
    assert encoder is not None
    task = next(parent for pid, parent, _ in processes() if pid == encoder)

    os.kill(task, signal.SIGKILL)

    assert wait_until(lambda: encoder not in alive({encoder}), within_s=5)
    job = service.wait(job_id)
    assert (job["status"], job["attempt"], job["failures"]) == ("succeeded", 1, 0)
    assert len(frames_of(service, job)) == 150
    with service.client as client:
        assert client.get("/healthz").status_code == 200
        log = client.get(f"/api/v1/jobs/{job_id}/logs", headers={"Accept": "text/plain"}).text
    assert "lost" in log
    service.stop()


def test_a_killed_encoder_fails_the_attempt_and_the_retry_succeeds(new_service: Callable[..., RunningService]):
    service = new_service(VIDCOMPUTE_BACKOFF_BASE_S="0.1").start()
    job_id = mid_encode(service)
    encoder = encoder_below(service)
    assert encoder is not None

    os.kill(encoder, signal.SIGKILL)

    job = service.wait(job_id)
    assert (job["status"], job["attempt"], job["failures"]) == ("succeeded", 2, 1)
    with service.client as client:
        attempts = client.get(f"/api/v1/jobs/{job_id}/attempts").json()["attempts"]
    assert attempts[0]["outcome"] != "succeeded"
    assert attempts[0]["problem"]["evidence"]["argv"]
    assert len(frames_of(service, job)) == 150
    service.stop()


@pytest.mark.parametrize(
    ("program", "code"), [("false", "encoder_failed"), ("true", "encoder_failed")], ids=["exits 1", "writes nothing"]
)
def test_a_job_whose_encoder_never_works_ends_as_a_dead_letter_and_can_be_requeued(
    new_service: Callable[..., RunningService], program: str, code: str
):
    useless = shutil.which(program)
    assert useless is not None
    service = new_service(VIDCOMPUTE_FFMPEG=useless, VIDCOMPUTE_BACKOFF_BASE_S="0.05").start()

    job = service.wait(service.submit(max_attempts=2)["id"])

    assert (job["status"], job["dead_letter"], job["failures"]) == ("failed", True, 2)
    assert job["error"]["code"] == code
    with service.client as client:
        dead = client.get("/api/v1/dead-letters").json()
        assert job["id"] in str(dead)
        requeued = client.post("/api/v1/dead-letters/requeue", json={"ids": [job["id"]]})
        assert requeued.status_code in {200, 202}, requeued.text
    again = service.wait(job["id"], until=lambda seen: seen["attempt"] > 2 and seen["status"] == "failed")
    assert again["dead_letter"]
    service.stop()


def test_a_killed_zygote_is_replaced(new_service: Callable[..., RunningService]):
    service = new_service().start()
    job_id = mid_encode(service)
    assert service.process is not None
    zygote = next(pid for pid, command in descendants(service.process.pid).items() if "zygote" in command)

    os.kill(zygote, signal.SIGKILL)

    job = service.wait(job_id)
    assert (job["status"], job["failures"]) == ("succeeded", 0)
    service.stop()


def test_a_killed_database_comes_back_and_the_job_goes_on(new_service: Callable[..., RunningService]):
    service = new_service(VIDCOMPUTE_LEASE_S="3", VIDCOMPUTE_RECONCILE_S="1").start()
    job_id = mid_encode(service)
    assert service.process is not None
    below = descendants(service.process.pid)
    postmaster = next(pid for pid, command in below.items() if "bin/postgres" in command.split(" ")[0])

    os.kill(postmaster, signal.SIGKILL)

    def answers() -> bool:
        with service.client as client:
            return client.get("/readyz").status_code == 200

    assert wait_until(answers, within_s=30)
    job = service.wait(job_id)
    assert job["status"] == "succeeded"
    assert len(frames_of(service, job)) == 150
    service.stop()
