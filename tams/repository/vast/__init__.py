"""The repository on VAST Database. Importing this package imports the SDK: only where it is chosen."""

from tams.repository.vast.concurrency.single import check_alone
from tams.repository.vast.connection import Address
from tams.repository.vast.migrate import described, missing, upgrade
from tams.repository.vast.repository import VastRepository

__all__ = ["Address", "VastRepository", "check_alone", "described", "missing", "upgrade"]
