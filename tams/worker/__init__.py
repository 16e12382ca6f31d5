"""What the store does in the background: deletions, bytes that nothing needs any more, storage that was never used,
copies of Objects, events for webhooks."""

from tams.worker.loop import run

__all__ = ["run"]
