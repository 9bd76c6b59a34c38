"""The description of the API is part of the product."""

from pathlib import Path

import pytest
import yaml
from scripts.export_openapi import TARGET, document

DOCUMENT = document()
OPERATIONS = [
    (method.upper(), path, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]


def test_the_committed_description_is_that_of_the_code():
    committed = yaml.safe_load(Path(TARGET).read_text("utf-8"))

    assert committed == DOCUMENT, "run scripts/export_openapi.py"


def test_it_is_openapi_3_1():
    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_summary():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]

    assert len(names) == len(set(names))
    assert all(operation["tags"] and operation["summary"] for _, _, operation in OPERATIONS)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda value: str(value)[:60])
def test_every_error_of_every_operation_is_a_problem(method, path, operation):
    for status, response in operation["responses"].items():
        if int(status) >= 400 and path != "/readyz":
            assert list(response["content"]) == ["application/problem+json"], status


def test_every_reference_leads_somewhere():
    text = yaml.safe_dump(DOCUMENT)
    named = {line.rsplit("/", 1)[1].strip("'") for line in text.splitlines() if "#/components/schemas/" in line}

    assert named <= set(DOCUMENT["components"]["schemas"])


def test_the_routes_of_the_contract_are_there():
    there = {f"{method} {path}" for method, path, _ in OPERATIONS}

    assert there >= {
        "POST /api/v1/jobs",
        "GET /api/v1/jobs",
        "GET /api/v1/jobs/counts",
        "GET /api/v1/jobs/{job_id}",
        "DELETE /api/v1/jobs/{job_id}",
        "POST /api/v1/jobs/{job_id}/cancel",
        "POST /api/v1/jobs/{job_id}/retry",
        "GET /api/v1/jobs/{job_id}/logs",
        "GET /api/v1/jobs/{job_id}/attempts",
        "GET /api/v1/jobs/{job_id}/frames",
        "GET /api/v1/jobs/{job_id}/frames/{frame_no}",
        "GET /api/v1/jobs/{job_id}/frames/{frame_no}.jpg",
        "GET /api/v1/jobs/{job_id}/hls/{path}",
        "GET /api/v1/jobs/{job_id}/manifest.json",
        "GET /api/v1/jobs/{job_id}/downloads",
        "GET /api/v1/search",
        "GET /api/v1/presets",
        "GET /api/v1/dead-letters",
        "POST /api/v1/dead-letters/requeue",
        "GET /api/v1/system/nodes",
        "GET /api/v1/system/queue",
        "POST /api/v1/system/queue/pause",
        "POST /api/v1/system/queue/resume",
        "GET /api/v1/events",
        "GET /healthz",
        "GET /readyz",
        "GET /version",
    }
