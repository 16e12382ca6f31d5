"""The repository port (`tams.repository.port`) and its adapters. Importing this room imports no adapter."""
