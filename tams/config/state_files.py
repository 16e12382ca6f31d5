"""Keys and ids that the store creates once and keeps in files of its data directory."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tams.config.fields import ConfigurationError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def prepare_directory(path: Path) -> None:
    """Create the data directory unless it exists. Only its owner can enter a new one.

    Raises:
        ConfigurationError: it cannot be created or written to.
    """
    try:
        create_private_directory(path)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"The data directory {path} cannot be written to ({error.strerror}): make it writable for "
            "this user, or name another one with TAMS_DATA_DIR or --data-dir."
        ) from error


def create_private_directory(path: Path) -> None:
    """Create a directory that only its owner can enter, whatever the umask; leave an existing one as it is.

    Missing parents are created by the rules of the umask, because other programs may use them too.

    Raises:
        OSError: it cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        path.chmod(0o700)


def access_of_others(path: Path) -> str | None:
    """Return the mode of a directory, such as `0755`, if others than its owner have any access to it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{mode:04o}" if mode & _OTHERS else None


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
