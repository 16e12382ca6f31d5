"""Fixtures for every test of `tests/` and `tools/`: the databases and the application under test."""

import pytest

pytest.register_assert_rewrite("tests.support")

pytest_plugins = ["tests.support.hypothesis_profiles", "tests.support.databases", "tests.support.applications"]
