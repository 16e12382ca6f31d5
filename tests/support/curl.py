"""The part of curl that the documents use, for machines that have no curl: `curl.py [options] URL`."""

from __future__ import annotations

import argparse
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

_BOUNDARY: Final = "------------------------stand-in"


def main() -> int:
    """Send one request, as curl would with the same options; the exit code is curl's."""
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    for name, option in (
        ("-s", "--silent"),
        ("-S", "--show-error"),
        ("-i", "--include"),
        ("-f", "--fail"),
        ("-G", "--get"),
    ):
        parser.add_argument(name, option, action="store_true")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data")
    parser.add_argument("--data-urlencode", action="append", default=[])
    parser.add_argument("-F", "--form", action="append", default=[])
    parser.add_argument("-T", "--upload-file", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("url")
    given = parser.parse_args()
    if set(given.url) & set("[]{}"):
        print(f"curl: (3) bad range in URL: {given.url}", file=sys.stderr)
        return 3

    headers = dict(header.split(": ", 1) for header in given.header)
    url, method, content = given.url, "GET", None
    if given.data_urlencode:
        url += "?" + urlencode([tuple(item.split("=", 1)) for item in given.data_urlencode])
    if given.data is not None:
        method, content = "POST", given.data.encode()
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    elif given.form:
        method, content = "POST", b"".join(_part(text) for text in given.form) + f"--{_BOUNDARY}--\r\n".encode()
        headers["Content-Type"] = f"multipart/form-data; boundary={_BOUNDARY}"
    elif given.upload_file is not None:
        method, content = "PUT", given.upload_file.read_bytes()
    server = urlsplit(url)
    connection = HTTPConnection(server.netloc, timeout=60)
    connection.request(given.request or method, url.partition(server.netloc)[2], content, headers)
    answer = connection.getresponse()
    body = answer.read()
    if given.fail and answer.status >= 400:
        print(f"curl: (22) The requested URL returned error: {answer.status}", file=sys.stderr)
        return 22
    if given.include:
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        lines += [f"{name}: {value}" for name, value in answer.getheaders()]
        body = "\r\n".join([*lines, "", ""]).encode() + body
    if given.output is None:
        sys.stdout.buffer.write(body)
    else:
        given.output.write_bytes(body)
    return 0


def _part(text: str) -> bytes:
    """`name=value` or `name=@file`, with `;type=…` behind it, as a part of multipart/form-data."""
    name, value = text.split("=", 1)
    value, _, media_type = value.partition(";type=")
    head, content = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"', value.encode()
    if value.startswith("@"):
        file = Path(value[1:])
        head, content = f'{head}; filename="{file.name}"', file.read_bytes()
    if media_type:
        head += f"\r\nContent-Type: {media_type}"
    return f"{head}\r\n\r\n".encode() + content + b"\r\n"


if __name__ == "__main__":
    sys.exit(main())
