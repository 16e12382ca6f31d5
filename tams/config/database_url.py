"""URLs of SQL databases, in the form that SQLAlchemy reads: `driver://user:password@host:port/database?option=value`.

Written here, so that reading settings imports no database library. A property test compares it with SQLAlchemy's own
`make_url`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote

_URL: Final = re.compile(
    r"""(?P<driver>[\w+]+)://
    (?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?
    (?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?
    (?::(?P<port>[^/?]*))?
    (?:/(?P<database>[^?]*))?
    (?:\?(?P<query>.*))?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """A database URL. Parts are as they are meant, not percent-encoded; None is a part that the URL does not have."""

    driver: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    database: str | None = None
    query: tuple[tuple[str, str], ...] = ()

    def render(self, *, hide_password: bool = False) -> str:
        """Return the URL as text, with *** in place of the password if that is to be hidden."""
        password = None if self.password is None else "***" if hide_password else quote(self.password, safe=" +")
        parts = [self.driver, "://"]
        if self.user is not None:
            parts += [quote(self.user, safe=" +"), "" if password is None else f":{password}", "@"]
        if self.host is not None:
            parts.append(f"[{self.host}]" if ":" in self.host else self.host)
        if self.port is not None:
            parts.append(f":{self.port}")
        if self.database is not None:
            parts += ["/", quote(self.database, safe=" +/")]
        if self.query:
            # Sorted by name only, as SQLAlchemy does: values of one name keep their order.
            pairs = sorted(self.query, key=lambda pair: pair[0])
            parts += ["?", "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)]
        return "".join(parts)


def parse_database_url(text: str) -> DatabaseUrl:
    """Return the parts of a database URL.

    Raises:
        ValueError: `text` is not a URL, or its port is not a number.
    """
    match = _URL.match(text)
    if match is None:
        raise ValueError(text)
    return DatabaseUrl(
        driver=match["driver"],
        user=_unquoted(match["user"]),
        password=_unquoted(match["password"]),
        host=match["host"] or match["ipv6"],
        port=None if match["port"] is None else int(match["port"]),
        database=_unquoted(match["database"]),
        query=tuple(parse_qsl(match["query"] or "")),
    )


def _unquoted(part: str | None) -> str | None:
    return None if part is None else unquote(part)
