"""Leases jobs while there is room, walks each through its DAG of tasks, and settles the outcome."""
