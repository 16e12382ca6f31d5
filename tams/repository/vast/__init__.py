"""The repository on VAST Database. Importing this package imports the SDK, so import it only when it is needed."""

from tams.repository.vast.concurrency.single_writer import check_alone
from tams.repository.vast.migrate import described, is_created, missing, upgrade
from tams.repository.vast.repository import VastRepository
from tams.repository.vast.sessions import Address

__all__ = ["Address", "VastRepository", "check_alone", "described", "is_created", "missing", "upgrade"]
