"""What `setup.cfg` cannot say: the top-level `migrations/` directory is installed as `tams_migrations`."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["tams", "tams.*"]),
        "tams_migrations",
        "tams_migrations.versions",
    ],
    package_dir={"tams_migrations": "migrations"},
)
