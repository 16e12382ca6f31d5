"""The storage port (`tams.storage.port`) and its adapters: where the bytes of Objects lie."""
