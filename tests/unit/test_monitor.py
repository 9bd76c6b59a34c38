"""Metrics over a given registry; secrets never reach a log."""

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from vidcompute import monitor


def test_the_promised_metric_names_are_exposed():
    metrics = monitor.Metrics(CollectorRegistry())
    metrics.jobs.labels("succeeded").inc()
    metrics.jobs_failed.labels("no_video").inc()
    metrics.queue_depth.labels("normal", "ready").set(3)
    metrics.jobs_scheduled.labels("normal").inc()

    text = metrics.exposition()[0].decode()

    for line in (
        'jobs_total{status="succeeded"} 1.0',
        'jobs_failed_total{code="no_video"} 1.0',
        'scheduler_queue_depth{priority="normal",state="ready"} 3.0',
        'scheduler_jobs_scheduled_total{priority="normal"} 1.0',
        "# TYPE job_duration_seconds histogram",
        "# TYPE llm_inference_seconds histogram",
    ):
        assert line in text


def test_two_services_in_one_process_do_not_share_metrics():
    first, second = monitor.Metrics(CollectorRegistry()), monitor.Metrics(CollectorRegistry())

    first.jobs.labels("failed").inc()

    assert b'jobs_total{status="failed"}' not in second.exposition()[0]


@given(secret=st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=20))
@pytest.mark.parametrize("key", ["api_key", "password", "llm_token", "Authorization", "signature", "client_secret"])
def test_values_under_secret_keys_are_masked_at_any_depth(key: str, secret: str):
    masked = monitor.mask({"a": [{"b": {key: secret}}]})

    assert secret not in json.dumps(masked)


@given(secret=st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=20))
def test_credentials_and_signatures_in_urls_are_masked(secret: str):
    masked = monitor.mask(f"GET https://user:{secret}@host/x?a=1&signature={secret}&b=2 failed")

    assert secret not in masked
    assert "b=2" in masked


def test_logs_are_one_json_object_per_line_ours_and_foreign_alike():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        monitor.setup_logging("info", stream=stream)
        monitor.get_logger("here").info("job.started", job_id="job_1", api_key="hush")
        logging.getLogger("uvicorn.error").warning("said %s", "so")
    finally:
        root.handlers[:], root.level = handlers, level

    ours, foreign = (json.loads(line) for line in stream.getvalue().splitlines())

    assert (ours["event"], ours["job_id"], ours["api_key"]) == ("job.started", "job_1", "***")
    assert (foreign["event"], foreign["level"]) == ("said so", "warning")
