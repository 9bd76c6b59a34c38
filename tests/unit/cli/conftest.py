import httpx
import pytest

from tests.unit.cli.service import Script
from vidcompute.cli.main import run
from vidcompute.cli.state import State


class Ran:
    """What a command did."""

    def __init__(self, code, out, err, script):
        self.code, self.out, self.err, self.script = code, out, err, script


@pytest.fixture
def vidctl(capfd):
    """Runs `vidctl` against a scripted service: vidctl("ls", answers={…})."""

    def call(*arguments, answers=None):
        script = Script(answers or {})
        state = State(server="http://127.0.0.1:8080", transport=httpx.MockTransport(script))
        code = run(arguments, state=state)
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err, script)

    return call
