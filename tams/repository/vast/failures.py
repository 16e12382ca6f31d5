"""Translation of the exceptions of the SDK, its transport and the cluster into the store's own errors.

A failure is always raised. It never becomes an empty answer.
"""

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

SDK_EXCEPTIONS: tuple[type[Exception], ...] = (
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
    # Builtin exceptions: for statuses without a type in the SDK, truncated answers, and servers that are not clusters.
    ValueError,
    KeyError,
    EOFError,
    OSError,
    RuntimeError,
    AssertionError,
    struct.error,
)
"""Everything that a call of the SDK may raise."""

_PERMANENT = (
    errors.BadRequest,
    errors.Forbidden,
    errors.MethodNotAllowed,
    errors.NotImplemented,
    errors.InvalidArgument,
)


class Broken(Unavailable):
    """A request failed in a way that may be temporary."""


class LostRace(Contended):
    """Another transaction was first: the cluster reported a conflict on rows (409), or the protocol detected one.

    The operation begins again.
    """


@contextmanager
def translated() -> Iterator[None]:
    """Translate the exceptions of the SDK calls in the body.

    Raises:
        LostRace: the cluster reported a conflict (409); the caller may try again.
        Broken: the request failed in a way that may be temporary; the caller may try again.
        Unavailable: the cluster refused the request; trying again does not help.
    """
    try:
        yield
    except errors.Conflict as error:
        raise LostRace(f"The database found a conflict: {_description(error)}") from error
    except _PERMANENT as error:
        raise Unavailable(f"The database refused a request: {_description(error)}") from error
    except SDK_EXCEPTIONS as error:
        raise Broken(f"The database does not answer as it should: {_description(error)}") from error


def is_forbidden(error: Unavailable) -> bool:
    """Return True if the cluster refused a request for lack of permission."""
    return isinstance(error.__cause__, errors.Forbidden)


def _description(error: Exception) -> str:
    if isinstance(error, errors.HttpError):
        return f"{error.status} {error.code}: {error.message}"
    return f"{type(error).__name__}: {error}"[:300]
