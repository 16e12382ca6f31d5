"""The form that registers a Segment together with its bytes: `segment_data`, then `file`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import request

from tams.api.digests import VerifiedStream, expected_digests, refuse_partial_or_encoded, verify_content
from tams.api.json_body import parse_json
from tams.api.multipart import MAX_SKIPPED, Multipart
from tams.domain.errors import Invalid
from tams.domain.identifiers import new_object_id
from tams.domain.segment_requests import SegmentRequest, parse_requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tams.config import Settings

FORM: Final = "multipart/form-data"
_SEGMENT: Final = "segment_data"
_FILE: Final = "file"


class UploadForm:
    """The form of the current request. `segment_request` is read at once; `read` returns the bytes of `file`.

    The end of `file` is returned after the rest of the form was read and its checksums were compared, so that nothing
    is stored of a form that turns out to be invalid. `checksums` are those that `file` has to have.

    Raises:
        Invalid: the form, or a header of it or of a part, is not what is expected.
        ChecksumMismatch: the bytes differ from a checksum that was announced.
        RequestEntityTooLarge: the form is larger than the store accepts.
    """

    def __init__(self, settings: Settings) -> None:
        refuse_partial_or_encoded(request.headers)
        request.max_content_length = settings.max_upload + settings.max_body + MAX_SKIPPED
        self._body = VerifiedStream(request.stream, request.headers)
        self._parts = Multipart(self._body, request.mimetype_params.get("boundary", ""))
        self._ended = False
        self.segment_request = self._read_segment(settings.max_body)
        refuse_partial_or_encoded(self._parts.headers)
        self.checksums: Mapping[str, bytes] = expected_digests(self._parts.headers)

    def read(self, size: int) -> bytes:
        """Return the next bytes of `file`; none at the end."""
        piece = self._parts.read(size)
        if not piece and not self._ended:
            self._ended = True
            while (name := self._parts.next_part()) is not None:
                if name in (_SEGMENT, _FILE):
                    raise Invalid.field(name, "given more than once")
            self._parts.finish()
            self._body.finish()
        return piece

    def _read_segment(self, max_bytes: int) -> SegmentRequest:
        """Return the Segment, and leave `file` as the current part."""
        segment_request: SegmentRequest | None = None
        while (name := self._parts.next_part()) != _FILE:
            if name is None:
                raise Invalid.field(_FILE, "required")
            if name == _SEGMENT:
                if segment_request is not None:
                    raise Invalid.field(_SEGMENT, "given more than once")
                segment_request = self._parse_segment(max_bytes)
        if segment_request is None:
            raise Invalid.field(_SEGMENT, "required, before file")
        return segment_request

    def _parse_segment(self, max_bytes: int) -> SegmentRequest:
        """Return the Segment of the current part, with a new id for its Object if it names none."""
        refuse_partial_or_encoded(self._parts.headers)
        headers = self._parts.headers
        content = self._parts.read_whole(max_bytes)
        verify_content(headers, content)
        body = parse_json(content, _SEGMENT)
        if not isinstance(body, dict):
            raise Invalid.field(_SEGMENT, "expected one Segment: an object with timerange")
        return parse_requests({"object_id": new_object_id(), **body})[0]
