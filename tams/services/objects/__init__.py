"""Objects: storage for them, their instances, copies between storage backends, and the deletion of their bytes."""
