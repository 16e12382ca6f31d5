"""A server that speaks VAST Database's protocol to the unmodified `vastdb` SDK: an engine with transactions, in memory.

In a test: `Emulator` of `emulator`. As a process: `python -m tools.vast_emulator`, and `Admin` of `admin` to steer it.
"""
