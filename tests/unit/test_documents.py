"""What is written down agrees with what is built."""

import re
from pathlib import Path

import pytest
from scripts import export_configuration

from vidcompute import errors
from vidcompute.api.problems import http_codes
from vidcompute.errors import VidcomputeError

ROOT = Path(__file__).parent.parent.parent


def codes(kind: type[VidcomputeError]) -> set[str]:
    own = {kind.code} if kind.__module__ == errors.__name__ else set()
    return own.union(*(codes(child) for child in kind.__subclasses__()))


def test_every_configuration_key_is_documented_as_it_is():
    assert export_configuration.TARGET.read_text(encoding="utf-8") == export_configuration.text()


@pytest.mark.parametrize("code", sorted(codes(VidcomputeError) | set(http_codes())))
def test_every_error_code_has_its_place_in_the_runbook(code: str):
    headings = re.findall(r"^### (.+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert code in {name.strip() for heading in headings for name in heading.split(",")}


def test_every_decision_is_listed():
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")

    for page in (ROOT / "docs" / "adr").glob("0*.md"):
        assert page.name in index


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
