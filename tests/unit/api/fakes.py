"""Stand-ins handed to the API through its constructor."""


class CountingMetrics:
    """Remembers (method, route, status)."""

    def __init__(self):
        self.seen = []

    def observe(self, *, method, route, status, seconds):
        assert seconds >= 0
        self.seen.append((method, route, status))


class SilentLog:
    """Remembers (event, fields)."""

    def __init__(self):
        self.entries = []

    def warning(self, event, **fields):
        self.entries.append((event, fields))

    def exception(self, event, **fields):
        self.entries.append((event, fields))
