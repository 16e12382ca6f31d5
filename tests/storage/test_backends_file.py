"""The configuration of Storage Backends: what is accepted, and the messages about invalid configurations."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tams.config import ConfigurationError, Settings
from tams.storage.configuration.backend_keys import COMMON, LOCAL, S3
from tams.storage.configuration.backends import LocalConfiguration, S3Configuration
from tams.storage.configuration.configured import configured_backends
from tams.storage.factory import open_storages
from tams.storage.port import Backend

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = DOCS / "reference" / "backends-file.md"
EXAMPLES = (DOCUMENT, DOCS / "how-to" / "use-several-backends.md", DOCS / "how-to" / "keep-media-in-s3.md")
ONE, OTHER = "a1a0a7a6-2b3c-4d5e-8f90-123456789abc", "b2b0a7a6-2b3c-4d5e-8f90-123456789abc"

FILE = f"""\
# Two backends, side by side.
[[backend]]
type = "s3"
id = "{ONE}"
label = "news"
bucket = "tams-media"
endpoint = "https://s3.example.com/"
region = "london"
prefix = "/a/b/"
access_key_id = "KEY"
secret_access_key = {{ env = "S3_SECRET" }}
default = true
tags = {{ tier = "fast", sites = ["a", "b"] }}

[[backend]]
type = "local"
id = "{OTHER}"
label = "cellar"
directory = "/srv/media"
public_url = "https://cdn.example.com/media/"
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "storage.toml"


def read(path, text, **environ):
    path.write_text(text)
    settings = Settings.from_env({"ENVIRONMENT": "development", "TAMS_STORAGE_CONFIG": str(path)})
    return configured_backends(settings, environ)


def refusal(path, text, **environ):
    with pytest.raises(ConfigurationError) as caught:
        read(path, text, **environ)
    return str(caught.value).replace(str(path), "FILE")


def variables(**values):
    return configured_backends(Settings.from_env({"ENVIRONMENT": "development"} | values), {})


def refused_variables(**values):
    with pytest.raises(ConfigurationError) as caught:
        variables(**values)
    return str(caught.value)


def test_a_file_may_have_backends_of_both_kinds(path):
    news, cellar = read(path, FILE, S3_SECRET="secret")
    tags: dict[str, str | list[str]] = {"tier": "fast", "sites": ["a", "b"]}
    assert news == S3Configuration(
        backend=Backend(ONE, "news", "s3", "s3", region="london", tags=tags, default=True),
        bucket="tams-media",
        endpoint="https://s3.example.com",
        signing_region="london",
        prefix="a/b/",
        access_key_id="KEY",
        secret_access_key="secret",
    )
    assert cellar == LocalConfiguration(
        backend=Backend(OTHER, "cellar", "local", "tams-local"),
        directory=Path("/srv/media"),
        public_url="https://cdn.example.com/media",
    )
    assert "secret'" not in repr(news)


def test_an_only_backend_is_the_default_unless_it_says_otherwise(path):
    text = FILE[FILE.index('[[backend]]\ntype = "local"') :]
    assert read(path, text)[0].backend.default
    assert not read(path, text + "default = false\n")[0].backend.default


def test_aws_needs_no_endpoint(path):
    text = f'[[backend]]\ntype = "s3"\nid = "{ONE}"\nlabel = "a"\nbucket = "media"\nregion = "eu-west-2"\n'
    (configuration,) = read(path, text)
    assert isinstance(configuration, S3Configuration)
    assert (configuration.endpoint, configuration.signing_region) == (None, "eu-west-2")
    assert configuration.backend.provider == "AWS"


def test_backends_of_a_file_are_opened(path, tmp_path):
    path.write_text(FILE.replace("/srv/media", str(tmp_path / "media")))
    settings = Settings.from_env(
        {"ENVIRONMENT": "development", "TAMS_STORAGE_CONFIG": str(path), "TAMS_DATA_DIR": str(tmp_path / "data")}
    )
    storages = open_storages(settings, {"S3_SECRET": "secret"})
    assert [storage.backend.label for storage in storages.values()] == ["news", "cellar"]
    store_id = (tmp_path / "data" / "store.id").read_text().strip()
    assert storages[ONE].new_key("x").startswith(f"a/b/{store_id}/")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "a1', 'id = "A1', "FILE, line 4: id is 'A1a0a7a6-2b3c-4d5e-8f90-123456789abc', which is not accepted:"),
        ('type = "s3"', 'type = "s4"', 'FILE, line 3: type is \'s4\', which is not accepted: write "s3" or "local"'),
        (
            'label = "news"',
            'label = "a,b"',
            "FILE, line 5: label is 'a,b', which is not accepted: write a text without",
        ),
        ('label = "news"', "label = 7", "FILE, line 5: label is 7, which is not accepted"),
        ('bucket = "tams-media"\n', "", "FILE, line 2: this backend has no bucket: write the name of a bucket, such"),
        ('bucket = "tams-media"', 'bucket = "no bucket"', "FILE, line 6: bucket is 'no bucket', which"),
        (
            "endpoint =",
            "endpont =",
            "FILE, line 7: endpont is not a key of a backend of type s3: did you mean endpoint?",
        ),
        (
            'example.com/"\nregion',
            'example.com/x"\nregion',
            "FILE, line 7: endpoint is 'https://s3.example.com/x', which",
        ),
        ('prefix = "/a/b/"', 'prefix = "a//b"', "FILE, line 9: prefix is 'a//b', which is not accepted: write at most"),
        ('access_key_id = "KEY"\n', "", "FILE, line 2: this backend has no access_key_id beside secret_access_key:"),
        ("default = true", 'default = "yes"', "FILE, line 12: default is 'yes', which is not accepted: write true or"),
        ('sites = ["a", "b"]', "sites = [1]", "FILE, line 13: tags is {'tier': 'fast', 'sites': [1]}, which is not"),
        (
            '"S3_SECRET"',
            '"MISSING"',
            "FILE, line 11: secret_access_key refers to the variable MISSING, which is not set",
        ),
        (
            '"S3_SECRET"',
            '"TAMS_X"',
            "FILE, line 11: secret_access_key refers to the variable TAMS_X, and variables that",
        ),
        ('env = "S3_SECRET"', 'file = "x"', "FILE, line 11: secret_access_key is no reference to a variable: write a"),
        (f'id = "{OTHER}"', f'id = "{ONE}"', f"FILE, line 17: id is '{ONE}', as for another backend before"),
        ('label = "cellar"', 'label = "news"', "FILE, line 18: label is 'news', as for another backend before"),
        ("public_url", "default = true\npublic_url", "FILE, line 20: default is true, as for another backend before"),
        (
            'directory = "/srv/media"\n',
            "",
            "FILE, line 15: this backend has no directory: write the path of a directory",
        ),
        ("# Two", "defaults = 1\n# Two", "FILE, line 1: defaults is not known here: write [[backend]] above"),
        ('region = "london"', "region = london", "FILE is not TOML: Invalid value (at line 8, column 10)"),
        ('type = "local"', 'type = "local"\nbucket = "x-y"', "FILE, line 17: bucket is not a key of a backend of type"),
        (
            'endpoint = "https://s3.example.com/"\nregion = "london"\n',
            "",
            "FILE, line 2: this backend has no region (AWS",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_to_write(path, old, new, expected):
    assert old in FILE
    assert refusal(path, FILE.replace(old, new), S3_SECRET="secret").startswith(expected)


def test_a_value_over_several_lines_is_named_by_its_first(path):
    text = FILE.replace('{ tier = "fast", sites = ["a", "b"] }', "7").replace("tags = 7", "# tags =\n\ntags = 7")
    assert refusal(path, text, S3_SECRET="x").startswith("FILE, line 15: tags is 7")


def test_a_wrong_secret_is_not_repeated(path):
    text = FILE.replace('{ env = "S3_SECRET" }', '["correct horse"]')
    message = refusal(path, text)
    assert message.startswith("FILE, line 11: secret_access_key has a value that is not accepted")
    assert "horse" not in message


@pytest.mark.parametrize("text", ["", "# nothing\n", "backend = 1\n", "backend = []\n"])
def test_a_file_without_backends_is_refused(path, text):
    assert "there is no backend: write [[backend]]" in refusal(path, text)


def test_a_missing_file_is_refused(path):
    settings = Settings.from_env({"ENVIRONMENT": "development", "TAMS_STORAGE_CONFIG": str(path)})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        configured_backends(settings)


def test_every_example_in_a_refusal_is_accepted(path):
    for kind, keys in (("s3", S3), ("local", LOCAL)):
        lines = [f"{name} = {key.example}" for name, key in {**COMMON, **keys}.items() if name != "type"]
        if kind == "s3":
            lines.remove('profile = "tams"')
        read(path, f'[[backend]]\ntype = "{kind}"\n' + "\n".join(lines), S3_SECRET="secret")


def test_variables_describe_one_backend():
    (configuration,) = variables(
        TAMS_S3_BUCKET="tams-media",
        TAMS_S3_ENDPOINT="http://127.0.0.1:9000",
        TAMS_S3_ACCESS_KEY_ID="KEY",
        TAMS_S3_SECRET_ACCESS_KEY="secret",
        TAMS_S3_PREFIX="x",
        TAMS_STORAGE_ID=ONE,
        TAMS_STORAGE_LABEL="news",
    )
    assert configuration == S3Configuration(
        backend=Backend(ONE, "news", "s3", "s3", default=True),
        bucket="tams-media",
        endpoint="http://127.0.0.1:9000",
        access_key_id="KEY",
        secret_access_key="secret",
        prefix="x/",
    )


def test_without_variables_there_is_the_local_backend(tmp_path):
    (configuration,) = variables(TAMS_DATA_DIR=str(tmp_path))
    assert isinstance(configuration, LocalConfiguration)
    assert (configuration.directory, configuration.backend.label, configuration.backend.default) == (
        tmp_path / "media",
        "local",
        True,
    )


BUCKET = {"TAMS_S3_BUCKET": "media", "TAMS_S3_ENDPOINT": "http://s3", "TAMS_STORAGE_ID": ONE}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"TAMS_S3_BUCKET": "media", "TAMS_S3_ENDPOINT": "http://s3"}, ["TAMS_STORAGE_ID is not", "TAMS_STORAGE_ID="]),
        ({"TAMS_S3_BUCKET": "media", "TAMS_STORAGE_ID": ONE}, ["TAMS_STORAGE_REGION is not", "TAMS_S3_ENDPOINT"]),
        (BUCKET | {"TAMS_S3_ACCESS_KEY_ID": "KEY"}, ["TAMS_S3_SECRET_ACCESS_KEY"]),
        (BUCKET | {"TAMS_MIN_PRESIGNED_URL_TIMEOUT": "500000", "TAMS_MIN_OBJECT_TIMEOUT": "600000"}, ["403200"]),
        ({"TAMS_S3_ENDPOINT": "http://s3"}, ["TAMS_S3_ENDPOINT is set, but TAMS_S3_BUCKET is not"]),
        ({"TAMS_STORAGE_CONFIG": "/x.toml", "TAMS_S3_BUCKET": "media"}, ["TAMS_STORAGE_CONFIG and TAMS_S3_BUCKET"]),
        ({"TAMS_STORAGE_CONFIG": "/x.toml", "TAMS_STORAGE_LABEL": "a"}, ["TAMS_STORAGE_CONFIG and TAMS_STORAGE_LABEL"]),
    ],
)
def test_variables_that_do_not_go_together_are_refused(values, words):
    message = refused_variables(**values)
    for word in words:
        assert word in message


def test_the_page_documents_every_key():
    text = DOCUMENT.read_text()
    for name, key in {**COMMON, **LOCAL, **S3}.items():
        required = "yes" if key.required else ""
        assert f"| `{name}` | {required} | {key.expects} |" in text, name


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_of_the_pages_are_accepted(path, page):
    blocks = re.findall(r"^ *```toml\n(.*?)```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        read(
            path,
            textwrap.dedent(block),
            CEPH_ACCESS_KEY_ID="key",
            CEPH_SECRET_ACCESS_KEY="secret",
            VAST_ACCESS_KEY_ID="key",
            VAST_SECRET_ACCESS_KEY="secret",
        )
