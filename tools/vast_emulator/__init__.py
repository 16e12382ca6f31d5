"""A server that speaks VAST Database's protocol to the unmodified `vastdb` SDK: a transactional engine in memory.

In a test, use `emulator.Emulator`. As a separate process, run `python -m tools.vast_emulator` and control it with
`admin.Admin`.
"""
