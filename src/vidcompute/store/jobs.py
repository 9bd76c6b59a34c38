"""Jobs in Postgres: what is true about them. The statements are in the four modules that this class joins."""

from __future__ import annotations

from vidcompute.store.attempts import AttemptWrites
from vidcompute.store.records import Attempt, Created, Heartbeat, JobFilter, JobSort, Leftovers, Unfinished
from vidcompute.store.requests import JobRequests
from vidcompute.store.settle import Settlements

__all__ = [
    "Attempt",
    "Created",
    "Heartbeat",
    "JobFilter",
    "JobSort",
    "JobStore",
    "Leftovers",
    "Unfinished",
]


class JobStore(JobRequests, AttemptWrites, Settlements):
    """Everything that can be asked of jobs (`lookups`) and done to them.

    `requests` holds what callers want, `attempts` what a running attempt writes, `settle` how it ends. The legal moves:

    ```text
    queued → running                      begin
    running → running                     begin by another coordinator (the lease was lost)
    running → queued                      fail with a retry, release
    queued → canceled                     request_cancel
    running → succeeded | failed | canceled
    failed | canceled → queued            retry
    ```
    """
