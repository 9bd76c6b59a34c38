"""vidcompute: submit video, get adaptive streaming and a searchable description of every frame.

Reading order for newcomers: `domain.job`, `domain.plan`, `queue.base`, `coordinator.run`, `tasks.chunk`, `app`.
"""
