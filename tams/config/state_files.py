"""Keys and ids that the store creates once and keeps in files of its data directory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tams.config.fields import ConfigurationError


def prepare_directory(path: Path) -> None:
    """Create the data directory unless it exists.

    Raises:
        ConfigurationError: it cannot be created or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"The data directory {path} cannot be written to ({error.strerror}): make it writable for "
            "this user, or name another one with TAMS_DATA_DIR or --data-dir."
        ) from error


def persistent_text(path: Path, generate: Callable[[], str]) -> str:
    """Return the text in the file; the first process to ask creates the file with a generated text.

    Raises:
        ConfigurationError: the file cannot be read or created.
    """
    try:
        if not path.exists():
            prepare_directory(path.parent)
            _create_whole(path, generate() + "\n")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read or created ({error}): repair it, then start again.") from error


def _create_whole(path: Path, text: str) -> None:
    """Create a file that only its owner can read, with its whole content at once; leave an existing file alone."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces a file that another process created meanwhile.
        Path(path).hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
