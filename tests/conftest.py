"""Fixtures live in tests/fixtures, one file per area; this file only names them."""

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.media", "tests.fixtures.browser", "tests.fixtures.service"]
