"""The storage adapter for S3 and servers that speak its protocol."""

import os

# The extra `checksums` brings awscrt, and botocore would let it sign requests, in its own way, too.
os.environ.setdefault("BOTO_DISABLE_CRT", "true")
