import os
import signal
import subprocess
import sys

import pytest

from tests.unit.cluster.deaths import survivors
from vidcompute.cluster import ties


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def test_children_lists_ours_until_they_are_reaped(sleeper):
    alive = ties.children()
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    dead = ties.children()
    sleeper.wait()

    assert sleeper.pid in alive & dead
    assert sleeper.pid not in ties.children()


def test_kernels_without_lists_of_children_give_the_same_answer(sleeper):
    assert ties._children_by_scan() == ties.children()


def test_killing_what_is_gone_or_not_ours_to_kill_is_no_error(sleeper):
    sleeper.kill()
    sleeper.wait()

    ties.kill_all([sleeper.pid])


def test_process_whose_parent_is_gone_already_does_not_live_on():
    code = "from vidcompute.cluster import ties; ties.die_with(1); print('alive')"

    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True
    )

    assert (done.returncode, done.stdout) == (ties.EXIT_ORPHAN, b"")


def test_orphans_come_to_who_adopts_them_and_die_with_it():
    code = """
import os, signal, sys, time
from vidcompute.cluster import ties
ties.adopt_orphans()
reader, writer = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        os.write(writer, b"%d" % os.getpid())
        signal.pause()
    os._exit(0)
orphan = int(os.read(reader, 20))
os.wait()
print(orphan, orphan in ties.children(), flush=True)
ties.kill_all(ties.children())
os.wait()
"""

    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}, stdout=subprocess.PIPE
    )

    orphan, adopted = done.stdout.split()
    assert adopted == b"True"
    assert survivors([int(orphan)]) == []


def test_unknown_option_of_the_kernel_is_an_error_with_its_name():
    with pytest.raises(OSError, match=r"prctl\(-1\)"):
        ties._prctl(-1, signal.SIGKILL)
