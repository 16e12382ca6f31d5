"""HTTP API: requests, responses, and a blueprint for each resource. Rules about media are in `tams.services`."""
