"""Keeps the house: what Postgres calls unfinished and no queue entry stands for comes back. Any number may run."""
