"""Programs for developers: a VAST Database emulator, the benchmark, and the conformance check."""
