"""What the commands print, ask and fetch."""

import importlib
import json
import os
import pty
import resource
import subprocess
import sys
from pathlib import Path

import click
import httpx
import pytest

from tests.unit.cli.service import EVENTS, FAILED, JOB, sse
from vidcompute.cli import output
from vidcompute.cli.main import COMMANDS

ONE = ("GET", "/api/v1/jobs/job_1")
LOGS = ("GET", "/api/v1/jobs/job_1/logs")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_explains_itself(name, vidctl):
    module = importlib.import_module(f"vidcompute.cli.{COMMANDS[name][0]}")

    assert isinstance(getattr(module, name), click.Command)
    assert vidctl(name, "--help").code == 0


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from vidcompute.cli.main import run; run(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not {"httpx", "rich", "pydantic", "fastapi", "psycopg", "numpy"} & set(eval(ran.stderr))


def test_help_costs_less_than_a_third_of_a_second_of_cpu():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "vidcompute.cli", "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


def test_watch_prints_events_as_json_lines_when_piped(vidctl):
    ran = vidctl("watch", "job_1", answers={LOGS: sse(*EVENTS), ONE: JOB})

    lines = [json.loads(line) for line in ran.out.split("\n") if line]
    assert [line["event"] for line in lines] == ["state", "progress", "log", "end"]
    assert lines[2]["message"] == "odd \u2028 thing"
    assert ran.err == ""


def test_watch_shows_a_bar_on_a_terminal(tmp_path):
    script = tmp_path / "watch.py"
    script.write_text(
        "import httpx\n"
        "from tests.unit.cli.service import *\n"
        "from vidcompute.cli.main import run\n"
        "from vidcompute.cli.state import State\n"
        "answers = {('GET', '/api/v1/jobs/job_1/logs'): sse(*EVENTS), ('GET', '/api/v1/jobs/job_1'): JOB}\n"
        "run(['watch', 'job_1'], state=State('http://127.0.0.1:8080', httpx.MockTransport(Script(answers))))\n"
    )

    shown = on_terminal([sys.executable, str(script)])

    assert "transcoding" in shown or "succeeded" in shown
    assert "━" in shown
    assert "odd" in shown
    assert "✔ succeeded in 14.5s" in shown
    assert '"event"' not in shown


def on_terminal(argv: list[str]) -> str:
    """What `argv` writes to a terminal of its own."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "PYTHONPATH": str(Path.cwd())}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=environment) as child:
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        assert child.wait(20) == 0, shown.decode()
    os.close(master)
    return shown.decode()


def test_a_stream_that_breaks_is_taken_up_where_it_was(vidctl):
    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield sse(EVENTS[0])
            raise httpx.ReadError("connection reset")

    logs = [httpx.Response(200, stream=Broken()), httpx.ConnectError("restarting"), sse(*EVENTS[1:])]

    ran = vidctl("logs", "job_1", "-f", answers={LOGS: logs})

    assert ran.code == 0
    assert "running" in ran.out
    assert "odd" in ran.out
    assert [request.headers.get("last-event-id") for request in ran.script.requests] == [None, "1", "1"]


def test_logs_ask_for_text_and_for_json_lines(vidctl):
    vidctl_text = vidctl("logs", "job_1", answers={LOGS: b"a line\n"})
    vidctl_json = vidctl("logs", "job_1", "--json", answers={LOGS: b"{}\n"})

    assert vidctl_text.out == "a line\n"
    assert vidctl_text.script.requests[0].headers["accept"] == "text/plain"
    assert vidctl_json.script.requests[0].headers["accept"] == "application/x-ndjson"


def test_submit_of_a_url_sends_only_what_was_said(vidctl):
    ran = vidctl(
        *[
            "submit",
            "https://a/b.mp4",
            "--height",
            "720",
            "--no-llm",
            "--tag",
            "team=ads",
            "--frames",
            "fps",
            "--fps",
            "2",
        ],
        *["--idempotency-key", "k1"],
        answers={("POST", "/api/v1/jobs"): JOB},
    )

    assert ran.out == "job_1\n"
    assert "vidctl watch job_1" in ran.err
    assert ran.script.requests[0].headers["idempotency-key"] == "k1"
    assert json.loads(ran.script.requests[0].content) == {
        "input": "https://a/b.mp4",
        "outputs": [{"height": 720}],
        "enable_llm": False,
        "tags": {"team": "ads"},
        "frames": {"mode": "fps", "fps": 2.0},
    }


def test_submit_of_a_file_streams_it_with_its_length(vidctl, tmp_path):
    file = tmp_path / "bär.mp4"
    file.write_bytes(b"x" * 300_000)

    ran = vidctl("submit", str(file), "--preset", "fast", "--json", answers={("POST", "/api/v1/jobs"): JOB})

    request = ran.script.requests[0]
    assert json.loads(ran.out)["id"] == "job_1"
    assert int(request.headers["content-length"]) == len(request.content) > 300_000
    assert b'{"preset": "fast"}' in request.content
    assert 'filename="bär.mp4"'.encode() in request.content


def test_submit_reads_standard_input_without_knowing_its_length(tmp_path):
    script = (
        "import httpx\n"
        "from tests.unit.cli.service import *\n"
        "from vidcompute.cli.main import run\n"
        "from vidcompute.cli.state import State\n"
        "service = Script({('POST', '/api/v1/jobs'): JOB})\n"
        "run(['submit', '-'], state=State('http://127.0.0.1:8080', httpx.MockTransport(service)))\n"
        "request = service.requests[0]\n"
        "print(request.headers['transfer-encoding'], request.content.count(b'x' * 1000))\n"
    )

    ran = subprocess.run([sys.executable, "-c", script], input=b"x" * 1000, capture_output=True, check=True)

    assert ran.stdout.decode().split() == ["job_1", "chunked", "1"]


def test_status_shows_a_job_for_people_and_for_programs(vidctl):
    people = vidctl("status", "job_1", answers={ONE: FAILED})
    programs = vidctl("status", "job_1", "--json", answers={ONE: JOB})

    assert "✖ failed" in people.out
    assert "no_video: only sound" in people.out
    assert "Send video." in people.out
    assert json.loads(programs.out) == JOB


def test_ls_is_a_table_and_says_how_to_go_on(vidctl):
    cursor = "abc" * 50
    page = {"jobs": [JOB, {**FAILED, "id": "job_2", "name": "[red]odd[/red]"}], "next_cursor": cursor}

    ran = vidctl("ls", "--status", "failed", "--tag", "team=ads", answers={("GET", "/api/v1/jobs"): page})

    assert "beach.mp4" in ran.out
    assert "[red]odd[/red]" in ran.out
    assert "no_video" in ran.out
    assert f"--cursor {cursor}\n" in ran.err
    assert dict(ran.script.requests[0].url.params) == {"status": "failed", "limit": "20", "tag.team": "ads"}


def test_search_shows_hits_without_markup(vidctl):
    moment = {"job_id": "job_1", "job_name": "beach.mp4", "start_ms": 83456, "end_ms": 84000, "frame_no": 3}
    moment |= {"snippet": "a <mark>red</mark> car &lt;fast&gt;", "score": 1.0, "url": "/dashboard/jobs/job_1?t=83.456"}
    page = {"moments": [moment], "next_cursor": None}

    ran = vidctl("search", "red", "car", answers={("GET", "/api/v1/search"): page})

    assert "1:23.456" in ran.out
    assert "a red car <fast>" in ran.out
    assert ran.script.requests[0].url.params["q"] == "red car"


def test_frames_are_asked_for_in_the_format_named(vidctl):
    path = ("GET", "/api/v1/jobs/job_1/frames")

    csv = vidctl("frames", "job_1", "--format", "csv", "--from", "1:00", "--to", "90s", answers={path: b"a,b\r\n"})
    piped = vidctl("frames", "job_1", answers={path: b"{}\n"})

    assert csv.out == "a,b\r\n"
    assert csv.script.requests[0].headers["accept"] == "text/csv"
    assert dict(csv.script.requests[0].url.params) == {"from_ms": "60000", "to_ms": "90000"}
    assert piped.script.requests[0].headers["accept"] == "application/x-ndjson"


def listing(*files):
    return {"files": [{"name": name, "bytes": size, "url": f"/blobs/{name}?s=1"} for name, size in files]}


DOWNLOADS = ("GET", "/api/v1/jobs/job_1/downloads")


def test_download_fetches_resumes_and_skips(vidctl, tmp_path):
    (tmp_path / "whole").write_bytes(b"abc")
    (tmp_path / "half.part").write_bytes(b"ab")
    answers = {
        DOWNLOADS: listing(("whole", 3), ("half", 4), ("anchors/new", 2), ("empty", 0)),
        ("GET", "/blobs/half"): httpx.Response(206, content=b"cd"),
        ("GET", "/blobs/anchors/new"): b"xy",
    }

    ran = vidctl("download", "job_1", "-o", str(tmp_path), answers=answers)

    assert ran.code == 0
    assert (tmp_path / "half").read_bytes() == b"abcd"
    assert (tmp_path / "anchors" / "new").read_bytes() == b"xy"
    assert (tmp_path / "empty").read_bytes() == b""
    assert not list(tmp_path.rglob("*.part"))
    assert ran.script.requests[1].headers["range"] == "bytes=2-"


def test_download_starts_again_if_the_server_ignores_ranges(vidctl, tmp_path):
    (tmp_path / "half.part").write_bytes(b"zz")

    vidctl(
        *["download", "job_1", "-o", str(tmp_path)],
        answers={DOWNLOADS: listing(("half", 4)), ("GET", "/blobs/half"): b"abcd"},
    )

    assert (tmp_path / "half").read_bytes() == b"abcd"


def test_a_file_that_arrives_short_is_an_error(vidctl, tmp_path):
    ran = vidctl(
        *["download", "job_1", "-o", str(tmp_path)],
        answers={DOWNLOADS: listing(("a", 4)), ("GET", "/blobs/a"): b"abc"},
    )

    assert ran.code == 1
    assert "3 of 4 bytes" in ran.err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_server_cannot_write_outside_the_folder(vidctl, tmp_path, name):
    ran = vidctl("download", "job_1", "-o", str(tmp_path / "out"), answers={DOWNLOADS: listing((name, 1))})

    assert ran.code == 1
    assert "outside" in ran.err


def test_dead_letters_are_listed_and_requeued(vidctl):
    result = {"requeued": ["job_1"], "skipped": [{"pointer": "job_2", "msg": "it is running"}]}
    path = "/api/v1/dead-letters"

    listed = vidctl("dead", answers={("GET", path): {"dead_letters": [FAILED], "next_cursor": None}})
    again = vidctl("dead", "requeue", "job_1", "job_2", answers={("POST", f"{path}/requeue"): result})

    assert "no_video" in listed.out
    assert again.code == 1
    assert "job_1 queued" in again.out
    assert "job_2: it is running" in again.err


def test_config_masks_secrets(vidctl, tmp_path, monkeypatch):
    file = tmp_path / "vidcompute.yaml"
    file.write_text("database_url: postgresql://me:hunter2@host/db\nport: 9\n")

    ran = vidctl("config", "--config", str(file), "--json")

    assert "hunter2" not in ran.out
    assert json.loads(ran.out)["PORT"] == 9


def test_a_bad_configuration_is_an_error_that_names_the_key(vidctl, tmp_path):
    file = tmp_path / "vidcompute.yaml"
    file.write_text("prot: 9\n")

    ran = vidctl("config", "--config", str(file))

    assert ran.code == 1
    assert "PROT" in ran.err


def test_completion_prints_a_script(vidctl):
    assert "_VIDCTL_COMPLETE" in vidctl("completion", "bash").out


@pytest.mark.parametrize(
    ("text", "ms"),
    [("12.5", 12500), ("10s", 10000), ("500ms", 500), ("2m", 120000), ("1:23.4", 83400), ("1:02:03", 3723000)],
)
def test_times_are_read_as_people_write_them(text, ms):
    assert output.parse_ms(text) == ms


def test_sizes_rates_and_times_are_written_as_people_read_them():
    assert [output.size(n) for n in (0, 999, 1843750, None)] == ["0 B", "999 B", "1.8 MB", "–"]
    assert [output.bitrate(n) for n in (2950000, 800000)] == ["2.95 Mb/s", "800 kb/s"]
    assert [output.seconds(n) for n in (4.21, 134.2, 7320)] == ["4.2s", "2m14s", "2h02m"]
    assert output.clock(3723456) == "1:02:03.456"
