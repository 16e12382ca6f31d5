"""Fixtures for every test of `tests/` and `tools/`: the databases and the application under test."""

pytest_plugins = ["tests.support.databases", "tests.support.applications"]
