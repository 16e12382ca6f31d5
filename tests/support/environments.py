"""Virtual environments that pip installs the store into, as on an operator's machine, without a download."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds

_INSTALLED = ("tams", "migrations")
_FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt")


class Environment:
    """A virtual environment that also sees the libraries of the one that runs the tests, but not its store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        venv.create(path, with_pip=True, symlinks=True)
        if "setuptools" in self.distributions():
            # The pinned one is among the libraries; that of Python 3.11 is older.
            self.pip("uninstall", "--yes", "setuptools")
        # A directory in a .pth file is searched, but the .pth files in it, such as that of an editable store, are not.
        (self.packages / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")

    @property
    def packages(self) -> Path:
        """Return the directory that pip installs into."""
        return self.path / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def distributions(self) -> set[str]:
        """Return the names of the distributions in this environment itself."""
        return {path.name.partition("-")[0] for path in self.packages.glob("*.dist-info")}

    def pip(self, *arguments: str, cwd: Path | None = None) -> None:
        """Run pip without an index."""
        command: list[str | Path] = [self.path / "bin" / "python", "-P", "-m", "pip", "--quiet", *arguments]
        subprocess.run(command, cwd=cwd, env=clean(), check=True, timeout=PATIENCE)

    def run(self, program: str, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment; return what it printed."""
        return subprocess.run(
            [self.path / "bin" / program, *arguments],
            cwd=cwd,
            env=clean() | variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def clean() -> dict[str, str]:
    """Return the environment of the tests without the settings of a store, and with no package index."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TAMS_", "PYTHON", "MAKE"))}
    return inherited | {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def copy_of_clone(target: Path) -> Path:
    """Copy what a clone needs to install and build the store."""
    target.mkdir(parents=True)
    for name in _INSTALLED:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(ROOT / name, target)
    return target


def build_wheel(target: Path) -> Path:
    """Build the wheel of the store in `target`."""
    source = copy_of_clone(target / "source")
    arguments = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(target)]
    subprocess.run([sys.executable, "-m", "pip", *arguments, str(source)], check=True, timeout=PATIENCE)
    (wheel,) = target.glob("*.whl")
    return wheel
