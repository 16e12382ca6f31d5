"""Webhooks: registration, the queue of each webhook, the events its owner may see, and signatures."""
