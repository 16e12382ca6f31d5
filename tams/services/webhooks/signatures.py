"""Signatures of deliveries, by which a receiver tells them from other requests.

The headers are those of the Standard Webhooks specification, which has libraries in many languages.
"""

from __future__ import annotations

import hmac
from base64 import b64encode


def signed_headers(signing_key: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that hold the event's id, the time of sending (seconds since 1970), and the signature.

    The signature covers the id, the time and the body, so that none of them can be reused with another.
    """
    content = f"{event_id}.{timestamp}.".encode() + body
    signature = b64encode(hmac.digest(signing_key, content, "sha256")).decode()
    return {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": f"v1,{signature}",
    }
