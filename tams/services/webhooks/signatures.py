"""How deliveries are signed, so that a receiver can tell them from what others send it.

The headers are those of the Standard Webhooks specification, for which many languages have a library.
"""

from __future__ import annotations

import hmac
from base64 import b64encode


def signed_headers(key: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that say which event this is, when it is sent (seconds since 1970), and that it comes from here.

    The signature is over all three, so that nothing of it can be used again with something else.
    """
    content = f"{event_id}.{timestamp}.".encode() + body
    signature = b64encode(hmac.digest(key, content, "sha256")).decode()
    return {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": f"v1,{signature}",
    }
