"""The repository on VAST Database. Importing this package imports the SDK: only where it is chosen."""

from tams.repository.vast.connection import Address
from tams.repository.vast.migrate import described, missing, upgrade
from tams.repository.vast.repository import VastRepository

__all__ = ["Address", "VastRepository", "described", "missing", "upgrade"]
