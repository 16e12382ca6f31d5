"""The storage adapter for S3 and servers that speak its protocol."""
