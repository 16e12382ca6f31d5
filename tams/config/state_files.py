"""Small texts that the store makes once and keeps in its data directory: a key, an id."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tams.config.fields import ConfigurationError


def prepare_directory(path: Path) -> None:
    """Make the data directory unless it is there. Raises ConfigurationError where it cannot be written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"The data directory {path} cannot be written to ({error.strerror}): make it writable for "
            "this user, or name another one with TAMS_DATA_DIR or --data-dir."
        ) from error


def kept_text(path: Path, make: Callable[[], str]) -> str:
    """The text in the file, made once by whichever process comes first. Raises ConfigurationError."""
    try:
        if not path.exists():
            prepare_directory(path.parent)
            _create_whole(path, make() + "\n")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read or made ({error}): mend that, then start again.") from error


def _create_whole(path: Path, text: str) -> None:
    """Make a file that only its owner can read, complete from the first moment; one that exists is left alone."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces what another process made meanwhile.
        Path(path).hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
