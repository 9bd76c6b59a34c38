"""Scratch folders go with their holder, however it ends."""

import os
import signal
from pathlib import Path

import pytest

from vidcompute.tasks.scratch import scratch, sweep


def test_the_folder_is_gone_after_an_error(tmp_path: Path):
    def fail() -> None:
        with scratch(tmp_path, "a") as folder:
            (folder / "x").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert not (tmp_path / "a").exists()


def test_sweep_spares_the_living(tmp_path: Path):
    with scratch(tmp_path, "alive") as folder:
        assert sweep(tmp_path) == 0
        assert folder.exists()


def test_sweep_removes_what_a_killed_process_left(tmp_path: Path):
    ready, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with scratch(tmp_path, "dead") as folder:
            (folder / "half.mp4").write_bytes(b"x" * 100)
            os.write(write, b"!")
            signal.pause()
        os._exit(0)
    os.read(ready, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert sweep(tmp_path) == 1
    assert not (tmp_path / "dead").exists()
    os.close(ready)
    os.close(write)


def test_a_new_holder_starts_empty(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")

    with scratch(tmp_path, "a") as folder:
        assert not (folder / "old").exists()
