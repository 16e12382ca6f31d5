"""A conformance test of a server against the TAMS API document: `python -m tools.conformance --spec PATH [--url URL]`.

Three parts drive a server over HTTP and check every response against the document: a session that exercises each
operation with its documented statuses, a replay of the document's own examples, and requests that schemathesis
generates.
"""
