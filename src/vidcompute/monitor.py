"""What operators see: metrics over a given registry, and structured logs.

Nothing here is global: a `Metrics` is made over the registry it is given and handed to those who count.
Metric names of the first six are public interface; never a job id or tenant as a label.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

#: 1 s to 4 h: a job is anything between a clip and a film.
JOB_BUCKETS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STAGE_BUCKETS_S = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600)


class Metrics:
    """Every metric of the service, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all metrics; a registry takes one `Metrics` only."""
        self.registry = registry
        self.jobs = Counter("jobs_total", "Jobs that ended, by outcome.", ["status"], registry=registry)
        self.jobs_failed = Counter("jobs_failed_total", "Jobs that failed, by error code.", ["code"], registry=registry)
        self.job_duration = Histogram(
            "job_duration_seconds", "Start to end of a job.", ["status"], buckets=JOB_BUCKETS_S, registry=registry
        )
        self.llm_inference = Histogram(
            "llm_inference_seconds", "One call to the describer.", ["source"], registry=registry
        )
        self.queue_depth = Gauge(
            "scheduler_queue_depth", "Entries in the queue.", ["priority", "state"], registry=registry
        )
        self.jobs_scheduled = Counter(
            "scheduler_jobs_scheduled_total", "Jobs leased for work.", ["priority"], registry=registry
        )
        self._add_own(registry)

    def _add_own(self, registry: CollectorRegistry) -> None:
        """Names of our own, under `vidcompute_`."""

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"vidcompute_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"vidcompute_{name}", text, labels, registry=registry)

        self.http_requests = counter("http_requests_total", "HTTP requests.", ("method", "route", "status"))
        self.http_duration = Histogram(
            "vidcompute_http_request_duration_seconds",
            "Time to the end of the response.",
            ["method", "route"],
            buckets=REQUEST_BUCKETS_S,
            registry=registry,
        )
        self.job_wait = Histogram(
            "vidcompute_job_wait_seconds", "Submit to start.", buckets=JOB_BUCKETS_S, registry=registry
        )
        self.stage_duration = Histogram(
            "vidcompute_stage_duration_seconds", "One task.", ["stage"], buckets=STAGE_BUCKETS_S, registry=registry
        )
        self.queue_oldest = gauge("queue_oldest_age_seconds", "Age of the oldest ready entry.", ("priority",))
        self.dead_letters = gauge("dlq_depth", "Dead letters.")
        self.retries = counter("retries_total", "Attempts that will be repeated.", ("reason",))
        self.leases_expired = counter("lease_expired_total", "Leases lost by this coordinator.")
        self.worker_slots = gauge("worker_slots", "Tasks running and waiting.", ("state",))
        self.tasks_lost = counter("tasks_lost_total", "Tasks that vanished.", ("kind",))
        self.media_seconds = counter("media_seconds_total", "Seconds of source video finished.")
        self.encode_cpu = counter("encode_cpu_seconds_total", "CPU seconds in ffmpeg.", ("codec", "preset"))
        self.ocr_cpu = counter("ocr_cpu_seconds_total", "CPU seconds spent reading on-screen text.")
        self.realtime_factor = gauge("encode_realtime_factor", "Media seconds per wall second of the last encode.")
        self.sandbox_layer = gauge("sandbox_layer_active", "1 if this layer of the box is active.", ("layer",))
        self.build_info = gauge("build_info", "Versions; the value is always 1.", ("version", "ffmpeg", "python"))

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request, by route template."""
        self.http_requests.labels(method, route, str(status)).inc()
        self.http_duration.labels(method, route).observe(seconds)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The scrape body and its content type, in the format that `accept` asks for."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type


#: Values under these keys, and credentials inside URLs, never reach a log.
_SECRET_KEY = re.compile(r"(key|secret|token|password|authorization|cookie|signature)$", re.IGNORECASE)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_URL_SIGNATURE = re.compile(r"(?<=[?&])(signature|sig|token|x-amz-signature|x-goog-signature)=[^&\s]+", re.IGNORECASE)
MASK = "***"


def mask(value: Any, *, key: str = "") -> Any:
    """`value` with secrets replaced, through containers; strings lose URL credentials and signatures."""
    if isinstance(value, dict):
        return {name: mask(item, key=str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    if isinstance(value, str):
        if _SECRET_KEY.search(key) and value:
            return MASK
        return _URL_SIGNATURE.sub(rf"\1={MASK}", _URL_CREDENTIALS.sub(f"{MASK}@", value))
    return value


def _mask_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in list(event):
        event[name] = mask(event[name], key=name)
    return event


def setup_logging(level: str = "info", *, stream: TextIO | None = None) -> None:
    """One line of JSON per event on stderr, ours and the libraries' alike. Called once, by the root."""
    out = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their access lines repeat what our own middleware counts; their errors stay.
    logging.getLogger("uvicorn.access").setLevel("WARNING")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of events: `log.info("job.started", job_id=…)`, never a formatted sentence."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
