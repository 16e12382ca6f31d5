"""A stand-in with the options of curl that the documents use, for machines without curl: `curl.py [options] URL`."""

from __future__ import annotations

import argparse
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

_BOUNDARY: Final = "------------------------stand-in"


def main() -> int:
    """Send one request, as curl would with the same options; return the exit code that curl would."""
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    for name, option in (
        ("-s", "--silent"),
        ("-S", "--show-error"),
        ("-i", "--include"),
        ("-f", "--fail"),
        ("-G", "--get"),
        ("-I", "--head"),
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
    options = parser.parse_args()
    if set(options.url) & set("[]{}"):
        print(f"curl: (3) bad range in URL: {options.url}", file=sys.stderr)
        return 3

    headers = dict(header.split(": ", 1) for header in options.header)
    url, method, content = options.url, "HEAD" if options.head else "GET", None
    if options.data_urlencode:
        url += "?" + urlencode([tuple(item.split("=", 1)) for item in options.data_urlencode])
    if options.data is not None:
        method, content = "POST", options.data.encode()
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    elif options.form:
        method, content = "POST", b"".join(_part(text) for text in options.form) + f"--{_BOUNDARY}--\r\n".encode()
        headers["Content-Type"] = f"multipart/form-data; boundary={_BOUNDARY}"
    elif options.upload_file is not None:
        method, content = "PUT", options.upload_file.read_bytes()
    server = urlsplit(url)
    connection = HTTPConnection(server.netloc, timeout=60)
    connection.request(options.request or method, url.partition(server.netloc)[2], content, headers)
    answer = connection.getresponse()
    body = answer.read()
    if options.fail and answer.status >= 400:
        print(f"curl: (22) The requested URL returned error: {answer.status}", file=sys.stderr)
        return 22
    if options.include or options.head:
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        lines += [f"{name}: {value}" for name, value in answer.getheaders()]
        body = "\r\n".join([*lines, "", ""]).encode() + body
    if options.output is None:
        sys.stdout.buffer.write(body)
    else:
        options.output.write_bytes(body)
    return 0


def _part(text: str) -> bytes:
    """Encode `name=value` or `name=@file`, optionally followed by `;type=…`, as a part of multipart/form-data."""
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
