"""The storage port (`tams.storage.port`) and its adapters, which keep the bytes of Objects."""
