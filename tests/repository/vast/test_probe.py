"""`tams vast probe`: its findings, its advice, and emulators that follow the profile of a cluster."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tams.commands.vast import probe
from tams.config import ConfigurationError, Settings
from tams.domain.errors import Unavailable
from tams.repository.vast.probe import CHECKS, DECISIVE, NotRemoved, advise, scratch
from tests.support.vast_clusters import CLUSTERS, address_of, url_of
from tools.vast_emulator import settings as emulated
from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.faults import Way
from tools.vast_emulator.settings import Settings as Emulated

pytestmark = pytest.mark.vast

IDLE = 2.4
# The settings of a cluster, and the exit code, which says which concurrency mode to set.
CLUSTER_MODELS = {
    "helpful": (Emulated(), 0),
    "late": (Emulated(row_conflicts="commit", visibility_delay=0.3, idle_timeout=1.2, shuffle=True, page_rows=20), 10),
    "in halves": (
        Emulated(
            atomic_commits=False, sorted_tables=False, version="5.2.0.1", rollback="refused_elsewhere", addresses=0
        ),
        30,
    ),
    "moving": (
        Emulated(
            snapshots="read_committed", own_writes=("insert",), duplicate_row_ids="first", oversized_cells="stored"
        ),
        20,
    ),
    "undying": (
        Emulated(
            commit_after_rollback="stored",
            conflict_pairs=("update/update", "delete/update"),
            cell_limit=65_535,
            request_limit=3_600_000,
            limit_status=413,
            duplicate_row_ids="last",
        ),
        10,
    ),
    "locks without versions": (Emulated(row_conflicts="while_open", rollback="ignored_elsewhere"), 20),
}


@pytest.fixture(autouse=True)
def _quiet_sdk(caplog: pytest.LogCaptureFixture) -> None:
    """Silence the warnings of the SDK about refused requests, which these tests provoke."""
    caplog.set_level(logging.ERROR, logger="vastdb")


def settings_for(emulator: Emulator) -> Settings:
    return Settings.from_env(
        {
            "ENVIRONMENT": "development",
            "TAMS_REPOSITORY": "vast",
            "TAMS_VAST_ENDPOINT": emulator.endpoint,
            "TAMS_VAST_ACCESS_KEY": emulator.access,
            "TAMS_VAST_SECRET_KEY": emulator.secret,
            "TAMS_VAST_BUCKET": "vastdb",
        }
    )


def schemas(emulator: Emulator) -> list[str]:
    return [schema.path for schema in emulator.engine.latest.schemas.values()]


@pytest.mark.parametrize("model", CLUSTER_MODELS)
def test_an_emulator_with_the_profile_of_a_cluster_has_the_same_findings(model: str, tmp_path: Path) -> None:
    settings, code = CLUSTER_MODELS[model]
    with Emulator(replace(settings)) as cluster:
        advised_code = probe(settings_for(cluster), IDLE, tmp_path / "cluster.json")
        assert advised_code == code, (tmp_path / "cluster.json").read_text()
        assert schemas(cluster) == []
    imitation = Emulated()
    imitation.load_profile(tmp_path / "cluster.json")
    with Emulator(imitation) as emulator:
        assert probe(settings_for(emulator), IDLE, tmp_path / "emulator.json") == code
    profiles = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("cluster", "emulator")]
    findings = [{name: entry["finding"] for name, entry in profile["findings"].items()} for profile in profiles]
    assert [name for name, finding in findings[0].items() if finding == "unknown"] == []
    assert findings[0] == findings[1]
    assert profiles[0]["reasons"] == profiles[1]["reasons"]
    # Each setting that the probe can find out is the same, except sizes between those that the probe tries.
    for name in ("row_conflicts", "snapshots", "rollback", "commit_after_rollback", "own_writes", "duplicate_row_ids"):
        assert getattr(imitation, name) == getattr(settings, name), name


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_advice_for_each_contract_cluster_is_the_mode_it_is_tested_with(name: str) -> None:
    concurrency, changes = CLUSTERS[name]
    settings = Emulated.hostile()
    settings.update(changes)
    with Emulator(settings) as cluster, scratch(address_of(url_of(cluster.endpoint)), IDLE) as place:
        assert advise({check.name: check.run(place) for check in DECISIVE}).concurrency == concurrency


def test_a_profile_that_the_emulator_cannot_imitate_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    with Emulator() as cluster:
        probe(settings_for(cluster), IDLE, file)
    profile = json.loads(file.read_text())
    profile["findings"]["same_key_inserts"]["finding"] = "refused"
    file.write_text(json.dumps(profile))
    with pytest.raises(ValueError, match="same_key_inserts"):
        emulated.Settings().load_profile(file)


def test_a_failed_check_is_unknown_and_counts_as_the_worst() -> None:
    with Emulator() as cluster, scratch(address_of(url_of(cluster.endpoint)), IDLE) as place:
        cluster.fail("update", Way.INTERNAL_ERROR, times=0)
        findings = {check.name: check.run(place) for check in DECISIVE}
        cluster.faults.clear()
    assert findings["snapshot"].finding == "unknown"
    assert "500" in findings["snapshot"].evidence
    # Neither claims nor stripes, although this cluster supports both.
    assert advise(findings).concurrency == "single"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Unavailable("away"), ZeroDivisionError()])
def test_the_schema_is_removed_after_any_exception(error: BaseException) -> None:
    def probe_and_fail(cluster: Emulator) -> None:
        with scratch(address_of(url_of(cluster.endpoint)), IDLE):
            assert len(schemas(cluster)) == 1
            raise error

    with Emulator() as cluster:
        with pytest.raises(type(error)):
            probe_and_fail(cluster)
        assert schemas(cluster) == []


def test_a_schema_that_cannot_be_removed_is_named() -> None:
    with Emulator() as cluster:
        with (
            pytest.raises(NotRemoved, match=r"tams_probe_.* is still in bucket vastdb: remove it"),
            scratch(address_of(url_of(cluster.endpoint)), IDLE, removal=0.5),
        ):
            cluster.fail("drop_table", Way.UNAVAILABLE, times=0)
        assert len(schemas(cluster)) == 1


def test_an_operator_without_access_learns_which_access_is_needed() -> None:
    with Emulator() as cluster:
        wrong = settings_for(cluster)
    for settings in (wrong, replace(wrong, vast_bucket="other"), replace(wrong, vast_secret_key="wrong")):
        with pytest.raises(ConfigurationError, match="has to be allowed to make and drop schemas"):
            probe(settings, IDLE, None)


def test_every_check_has_a_unique_name() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
