"""The filters of a long query, packed into the page token of `Link`.

Proxies and clients limit the length of a header: nginx to 4 KiB by default. So a `Link` whose query is long has no
other parameter than `page`, and its page token carries the query: compressed, and signed for the path. Ids shrink to
two thirds, percent-encoded text to three quarters or less. `X-Paging-NextKey` never carries a query.
"""

from __future__ import annotations

import zlib
from string import punctuation
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote

from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from itsdangerous import Signer

Pairs = list[tuple[str, str]]

LONGEST_PLAIN_QUERY: Final = 1000
"""Characters of the longest query that `Link` repeats as it is."""

_SEPARATOR: Final = "~"
# Characters that are left as they are: the fewer escapes, the better the compression.
_LITERAL: Final = "".join(set(punctuation) - set("%&=+"))
# A request line is much shorter, so no more was ever packed.
_LONGEST_QUERY: Final = 65536


def pack(page_token: str, pairs: Sequence[tuple[str, str]], signer: Signer) -> str:
    """Return a page token that carries these parameters of the query."""
    text = "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in pairs)
    return page_token + _SEPARATOR + signer.sign(base64_encode(zlib.compress(text.encode("ascii")))).decode()


def unpack(pairs: Pairs, signer: Signer) -> Pairs:
    """Return the parameters of a query in which those that its page token carries have their place.

    A parameter of the request replaces the carried ones of its name: a client may add its filters to a `Link` again. A
    token that was not issued stays as it is, and is refused as a page token.
    """
    page_token = next((value for name, value in pairs if name == "page" and _SEPARATOR in value), "")
    if not page_token:
        return pairs
    short, _, packed = page_token.partition(_SEPARATOR)
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(base64_decode(signer.unsign(packed)), _LONGEST_QUERY).decode("ascii")
    except (BadData, ValueError, zlib.error):
        return pairs
    names = {name for name, _ in pairs}
    carried = parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
    sent = [(name, short if value == page_token else value) for name, value in pairs]
    return [pair for pair in carried if pair[0] not in names] + sent


def _escaped(text: str) -> str:
    return quote(text, safe=_LITERAL, errors="surrogateescape")
