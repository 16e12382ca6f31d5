"""The one exception by which any part of the emulator refuses a request."""

from xml.sax.saxutils import escape


class ProtocolError(Exception):
    """A refusal as the client shall see it: an HTTP status and an S3-style code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message

    def xml(self) -> bytes:
        """The S3-style body."""
        document = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message></Error>"
        )
        return document.encode()


def bad_request(code: str, message: str) -> ProtocolError:
    """400: the request can never succeed as it stands."""
    return ProtocolError(400, code, message)


def not_found(code: str, message: str) -> ProtocolError:
    """404: what the request names is not there, for this transaction."""
    return ProtocolError(404, code, message)


def conflict(message: str) -> ProtocolError:
    """409: another transaction, or what the object contains, stands in the way."""
    return ProtocolError(409, "TabularConflict", message)


def unsupported(message: str) -> ProtocolError:
    """501: VAST Database has this, the emulator has not."""
    return ProtocolError(501, "NotImplemented", message)
