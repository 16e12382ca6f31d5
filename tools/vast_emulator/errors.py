"""The exception with which any part of the emulator rejects a request."""

from xml.sax.saxutils import escape


class ProtocolError(Exception):
    """An error as the client sees it: an HTTP status and an S3-style code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message

    def xml(self) -> bytes:
        """Return the S3-style response body."""
        document = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message></Error>"
        )
        return document.encode()


def bad_request(code: str, message: str) -> ProtocolError:
    """Return a 400 error: the request can never succeed as it stands."""
    return ProtocolError(400, code, message)


def not_found(code: str, message: str) -> ProtocolError:
    """Return a 404 error: what the request names does not exist for this transaction."""
    return ProtocolError(404, code, message)


def conflict(message: str) -> ProtocolError:
    """Return a 409 error: another transaction, or the content of the object, prevents the change."""
    return ProtocolError(409, "TabularConflict", message)


def unsupported(message: str) -> ProtocolError:
    """Return a 501 error: VAST Database has this feature, the emulator does not."""
    return ProtocolError(501, "NotImplemented", message)
