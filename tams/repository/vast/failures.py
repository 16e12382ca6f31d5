"""What the SDK, its transport and the cluster raise, as errors of the store. Never an empty answer."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import requests
import urllib3
from vastdb import errors
from vastdb._internal import QueryDataInternalError

from tams.domain.errors import Contended, Unavailable

RAISED: tuple[type[Exception], ...] = (
    errors.HttpError,
    errors.ConnectionError,
    errors.Missing,
    errors.NotSupported,
    errors.InvalidArgument,
    errors.Exists,
    errors.ApiResponseError,
    QueryDataInternalError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    pa.ArrowException,
    # Bare ones: statuses that the SDK has no type for, answers that were cut, servers that are no cluster.
    ValueError,
    KeyError,
    EOFError,
    OSError,
    RuntimeError,
    AssertionError,
    struct.error,
)
"""Everything that a call of the SDK may raise."""

_LASTING = (errors.BadRequest, errors.Forbidden, errors.MethodNotAllowed, errors.NotImplemented, errors.InvalidArgument)


class Broken(Unavailable):
    """A request failed in a way that may be over the next time."""


class Collided(Contended):
    """The cluster saw another transaction on the same rows (409)."""


@contextmanager
def translated() -> Iterator[None]:
    """Calls of the SDK stand inside. `Broken` and `Collided` may be tried again, another `Unavailable` need not be."""
    try:
        yield
    except errors.Conflict as error:
        raise Collided(f"The database found a conflict: {_said(error)}") from error
    except _LASTING as error:
        raise Unavailable(f"The database refused a request: {_said(error)}") from error
    except RAISED as error:
        raise Broken(f"The database does not answer as it should: {_said(error)}") from error


def _said(error: Exception) -> str:
    if isinstance(error, errors.HttpError):
        return f"{error.status} {error.code}: {error.message}"
    return f"{type(error).__name__}: {error}"[:300]
