"""Storage Backends in S3 buckets: AWS, Ceph, MinIO, VAST and whatever else speaks S3. Imported only if configured."""
