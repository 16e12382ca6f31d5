"""Webhooks: registration, the queue of each webhook, and what its owner may see."""
