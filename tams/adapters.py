"""The database engines that can hold the metadata; the only module that knows which ones exist.

All others use the repository port. An engine is imported only if the settings choose it: the SDK of VAST
Database is an optional extra, takes 0.7 s to import, and adds 90 MB to a process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tams.config import ConfigurationError
from tams.domain.errors import Unavailable, Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from tams.config import Settings
    from tams.repository.port import Repository
    from tams.repository.vast import Address


def open_repository(settings: Settings) -> Repository:
    """Return the repository that the settings choose. It connects when it is first used."""
    if _is_vast(settings):
        return _vast().VastRepository(vast_address(settings))  # type: ignore[no-any-return]
    from tams.repository.sql import SqlRepository

    return SqlRepository(settings.database_url)


def upgrade(settings: Settings, *, change_concurrency: bool = False) -> None:
    """Create the database or bring its schema up to date; safe to repeat, also concurrently.

    `change_concurrency` allows another TAMS_VAST_CONCURRENCY than the database was made with.

    Raises:
        ConfigurationError: the database cannot be used; the message says what to do.
    """
    try:
        if _is_vast(settings):
            _vast().upgrade(vast_address(settings), change_concurrency=change_concurrency)
        else:
            from tams.repository import sql

            sql.upgrade(settings.database_url)
    except Unavailable as error:
        raise ConfigurationError(
            f"{settings.shown_database_url()} cannot be used. {error} Repair it, install the version of the store that "
            "created it, or name another database with TAMS_DATABASE_URL or --data-dir."
        ) from error


def is_created(settings: Settings) -> bool:
    """Return False if the database does not exist yet, or has no table of the store. Creates nothing.

    Raises:
        ConfigurationError: the database does not answer.
    """
    try:
        if _is_vast(settings):
            return bool(_vast().is_created(vast_address(settings)))
        from tams.repository import sql

        return sql.is_created(settings.database_url)
    except Unavailable as error:
        raise ConfigurationError(f"{settings.shown_database_url()} cannot be used. {error}") from error


def check_writable(settings: Settings) -> None:
    """Check that the database can be changed.

    Raises:
        ConfigurationError: it cannot; the message says why, and what to do.
    """
    repository = open_repository(settings)
    try:
        repository.check_writable()
    except Unavailable as error:
        reason = error.advice if isinstance(error, Unusable) else str(error)
        raise ConfigurationError(f"{settings.shown_database_url()} cannot be written to. {reason}") from error
    finally:
        repository.close()


def check_only_writer(settings: Settings) -> None:
    """Check that no other process writes to a database with a single writer; do nothing for other databases.

    Raises:
        ConfigurationError: another process is the writer.
    """
    if not settings.one_writer:
        return
    try:
        _vast().check_alone(vast_address(settings))
    except Unavailable as error:
        raise ConfigurationError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Description:
    """Sentences for an operator: facts about a database, and one for each thing that it lacks."""

    facts: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def describe(settings: Settings) -> Description:
    """Return what is to be said about the database beyond `Repository.check`.

    Raises:
        Unavailable: the database does not answer.
    """
    if not _is_vast(settings):
        return Description()
    address = vast_address(settings)
    facts, lacking = list(_vast().described(address)), list(_vast().missing(address))
    suits, sentence = _suitability(settings, address)
    (facts if suits else lacking).append(sentence)
    return Description(facts, lacking)


def add_seed_segments(
    settings: Settings, flow_ids: Sequence[str], count: int, storage_id: str, now: int
) -> Iterator[int]:
    """Add `count` Segments without bytes to each Flow; yield the number that each transaction added.

    `now` is in microseconds since the epoch.
    """
    if _is_vast(settings):
        from tams.repository.vast import seeding as vast_seeding

        yield from vast_seeding.add_segments(vast_address(settings), flow_ids, count, storage_id, now)
        return
    from tams.repository.sql import seeding

    yield from seeding.add_segments(settings.database_url, flow_ids, count, storage_id, now)
    seeding.renew_statistics(settings.database_url)


def vast_address(settings: Settings) -> Address:
    """Return the address of the VAST cluster that the settings name."""
    from tams.repository.vast import Address

    return Address(**settings.vast_address())


def _is_vast(settings: Settings) -> bool:
    return settings.repository == "vast"


def _vast() -> ModuleType:
    from tams.repository import vast

    return vast


def _suitability(settings: Settings, address: Address) -> tuple[bool, str]:
    """Return whether TAMS_VAST_CONCURRENCY suits the cluster, and a sentence about it."""
    from tams.repository.vast.probe import DECISIVE, NotRemoved, advise, scratch

    try:
        with scratch(address, 0) as place:
            advice = advise({check.name: check.run(place) for check in DECISIVE})
    except NotRemoved as error:
        raise Unavailable(str(error)) from error
    is_set = f"TAMS_VAST_CONCURRENCY is {settings.vast_concurrency}, which"
    against = advice.against.get(settings.vast_concurrency)
    if against is not None:
        return False, f"{is_set} does not suit this cluster: {' '.join(against)} See `tams vast probe`."
    if advice.concurrency != settings.vast_concurrency:
        return True, f"{is_set} suits this cluster; {advice.concurrency} does, too, and is better."
    return True, f"{is_set} suits this cluster."
