"""A forked, boxed child: what it can say, what it cannot do, how its end is told."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sandbox.lifetime import dead_within
from vidcompute.sandbox.process import CLEAN_ENV, run

ROOT = Path(__file__).parents[3]
#: The modules of this very interpreter, installed or not.
HERE = {**CLEAN_ENV, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


async def case(name: str, *, code: int = 0) -> dict[str, Any]:
    argv = [sys.executable, "-W", "error", "-m", "tests.unit.sandbox.fork_cases", name]
    done = await run(argv, timeout_s=60, cwd=ROOT, env=HERE)
    assert done.code == code, done.stderr_tail
    said: dict[str, Any] = json.loads(done.stdout)
    return said


async def test_bytes_and_json_travel_both_ways() -> None:
    said = await case("bytes_travel_both_ways")

    assert said == {"same": True, "rest": {"n": 1, "name": "é", "fds": 0}}


async def test_a_descriptor_gives_access_to_a_file_that_the_box_could_not_open() -> None:
    said = await case("a_descriptor_gives_access_to_a_closed_file")

    assert said == {"text": "inside"}


async def test_what_reaches_beyond_the_process_is_refused() -> None:
    said = await case("attacks_fail")

    assert [name for name, refusal in said.items() if refusal is None] == []


async def test_threads_still_work_in_the_box() -> None:
    said = await case("threads_still_work")

    assert said["answer"] == {"from": "thread"}


async def test_descriptors_of_the_task_are_closed() -> None:
    said = await case("descriptors_of_the_task_are_closed")

    assert said == {"written": "OSError"}


async def test_an_error_of_the_tree_arrives_as_itself() -> None:
    said = await case("an_error_of_the_tree_arrives_as_itself")

    assert (said["error"], said["detail"]) == ("NoVideo", "no video stream")


async def test_any_other_exception_arrives_with_its_traceback() -> None:
    said = await case("any_other_exception_arrives_with_its_traceback")

    assert said["error"] == "TaskFailed"
    assert "surprise" in said["evidence"]["traceback"]


async def test_an_error_that_is_not_the_childs_to_raise_is_not_believed() -> None:
    said = await case("a_forged_error_is_not_believed")

    assert said["error"] == "TaskFailed"


@pytest.mark.parametrize(
    "name", ["nonsense_on_the_wire_is_an_error", "an_endless_message_is_refused_before_it_is_read"]
)
async def test_the_wire_is_not_trusted(name: str) -> None:
    said = await case(name)

    assert said["error"] == "TaskFailed"


async def test_a_crash_is_named_and_the_last_words_are_kept() -> None:
    said = await case("a_crash_is_named")

    assert (said["error"], said["detail"]) == ("TaskFailed", "the test crashed (SIGSEGV)")
    assert "last words" in said["evidence"]["stderr_tail"]


async def test_memory_has_an_end() -> None:
    said = await case("memory_runs_out")

    assert "memory" in said["detail"]


async def test_processor_time_has_an_end() -> None:
    said = await case("processor_time_runs_out")

    assert said["error"] == "LimitExceeded"


async def test_a_child_that_has_nothing_more_to_say_ends_with_none() -> None:
    said = await case("a_clean_end_is_none")

    assert said == {"answer": None, "code": 0}


async def test_wait_times_out_and_kill_ends_it() -> None:
    said = await case("wait_times_out_and_kill_ends_it")

    assert said == {"code": -9}


async def test_the_child_dies_with_a_task_that_was_killed() -> None:
    said = await case("the_child_outlives_nobody", code=-9)

    assert dead_within(said["pid"], 5)


async def test_a_process_with_threads_is_refused() -> None:
    said = await case("a_process_with_threads_is_refused")

    assert "without threads" in said["error"]
