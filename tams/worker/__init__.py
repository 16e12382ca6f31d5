"""Background work of the store: deletions, copies of Objects, and events for webhooks."""

from tams.worker.loop import run

__all__ = ["run"]
