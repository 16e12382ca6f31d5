"""`tams storage init` and `tams storage check`, as operators run them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

STORAGE_ID = "a1a0a7a6-2b3c-4d5e-8f90-123456789abc"


@pytest.fixture
def tams(endpoint, tmp_path):
    """Return a function that runs the command on a new bucket."""
    bucket = endpoint.new_bucket()

    def run(*arguments, **variables):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
        defaults = {
            "ENVIRONMENT": "development",
            "TAMS_DATA_DIR": str(tmp_path),
            "TAMS_STORAGE_ID": STORAGE_ID,
            "TAMS_S3_BUCKET": bucket,
            "TAMS_S3_ENDPOINT": endpoint.url,
            "TAMS_S3_ACCESS_KEY_ID": endpoint.access_key,
            "TAMS_S3_SECRET_ACCESS_KEY": endpoint.secret_key,
            "TAMS_CORS_ORIGINS": "https://player.example.com",
        }
        environ = {name: value for name, value in (inherited | defaults | variables).items() if value}
        return subprocess.run(
            [sys.executable, "-m", "tams.commands.main", "storage", *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_a_bucket_is_set_up_and_then_passes_its_check(tams, endpoint):
    before = tams("check")
    assert before.returncode == 1
    assert "FAILED  ends unfinished uploads by itself" in before.stdout
    assert before.stdout.count("FAILED") == 2

    ended = tams("init")
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines() == [
        f"s3 ({STORAGE_ID})",
        "  lifecycle: rule written",
        "  CORS: rule written",
    ]
    assert "rule is there" in tams("init", "s3").stdout

    after = tams("check", STORAGE_ID, LOG_LEVEL="INFO")
    assert after.returncode == 0, after.stdout + after.stderr
    assert "FAILED" not in after.stdout
    assert after.stderr == ""


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TAMS_S3_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        ({"TAMS_S3_BUCKET": "there-is-no-such-bucket"}, "NoSuchBucket"),
        ({"TAMS_S3_ENDPOINT": "http://127.0.0.1:1"}, "does not answer"),
    ],
)
def test_a_fault_is_named(tams, variables, words):
    ended = tams("check", **variables)
    assert ended.returncode == 1
    assert "FAILED  writes" in ended.stdout
    assert words in ended.stdout


def test_a_missing_bucket_can_be_made(tams, endpoint):
    name = endpoint.new_bucket()
    endpoint.client.delete_bucket(Bucket=name)
    assert tams("init", TAMS_S3_BUCKET=name).returncode == 1
    assert "bucket: made" in tams("init", "--create-bucket", TAMS_S3_BUCKET=name).stdout


def test_a_backend_that_is_not_configured_is_refused(tams):
    ended = tams("check", "elsewhere")
    assert ended.returncode == 2
    assert ended.stderr == "tams: There is no storage backend elsewhere: name one of s3, or its id.\n"


def test_local_storage_is_checked_and_needs_no_setup(tams):
    local = dict.fromkeys(("TAMS_S3_BUCKET", "TAMS_S3_ENDPOINT", "TAMS_S3_ACCESS_KEY_ID"), "")
    local["TAMS_S3_SECRET_ACCESS_KEY"] = ""
    assert "nothing to set up" in tams("init", **local).stdout
    ended = tams("check", **local)
    assert ended.returncode == 0, ended.stderr
    assert "ok      writes" in ended.stdout
    assert "ok      deletes" in ended.stdout


def test_a_wrong_configuration_stops_every_command(tams, tmp_path):
    ended = tams("check", TAMS_STORAGE_ID="")
    assert ended.returncode == 2
    assert "TAMS_STORAGE_ID=" in ended.stderr
