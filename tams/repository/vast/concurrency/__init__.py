"""The three ways to keep concurrent writes apart on VAST Database."""
