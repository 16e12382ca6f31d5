"""JSON of domain values: one module per resource. Nothing else in the project writes it.

Each function names the schema of the specification that it follows; a test compares the keys that are written with the
API document. `fast_segments` is written for speed and has a plain twin in `segments`.
"""
