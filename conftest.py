"""Fixtures for every test of `tests/` and `tools/`: the databases and the application under test."""

import os

import pytest

# Before a library imports botocore, as `tams.storage.s3` does.
os.environ.setdefault("BOTO_DISABLE_CRT", "true")

pytest.register_assert_rewrite("tests.support")

pytest_plugins = ["tests.support.hypothesis_profiles", "tests.support.databases", "tests.support.applications"]
