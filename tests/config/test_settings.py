"""Settings: what is accepted, what is refused and in which words, and what is kept in the data directory."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tams.app import create_app
from tams.config import ConfigurationError, Settings, documentation
from tams.config.environment import is_ignored
from tams.domain.identifiers import is_uuid

DEVELOPMENT = {"ENVIRONMENT": "development"}


def settings(**variables: str) -> Settings:
    return Settings.from_env(DEVELOPMENT | variables)


def refusal(variables: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(variables)
    return str(caught.value)


class TestDefaults:
    def test_data_and_database_lie_below_the_working_directory(self):
        defaults = settings()
        assert defaults.data_dir == Path.cwd() / "data"
        assert defaults.database_url == f"sqlite:///{Path.cwd()}/data/tams.db"

    def test_the_database_lies_in_the_data_directory(self, tmp_path):
        assert settings(TAMS_DATA_DIR=str(tmp_path)).database_url == f"sqlite:///{tmp_path}/tams.db"

    def test_a_data_directory_may_have_characters_that_mean_something_in_a_url(self, tmp_path):
        from sqlalchemy import make_url

        odd = tmp_path / "50%25 a?b#c"
        assert make_url(settings(TAMS_DATA_DIR=str(odd)).database_url).database == str(odd / "tams.db")

    def test_sizes_and_times(self):
        defaults = settings()
        assert (defaults.max_body, defaults.max_upload) == (16 * 1024**2, 5 * 1024**3)
        assert (defaults.min_object_timeout, defaults.min_presigned_url_timeout) == (600, 300)
        assert (defaults.object_grace, defaults.job_lease, defaults.delete_request_retention) == (60, 60, 86400)

    def test_the_environment_of_the_process_is_read_where_none_is_given(self, monkeypatch):
        monkeypatch.setenv("ENVIRONMENT", "development")
        monkeypatch.setenv("TAMS_NAME", "from the process")
        assert Settings.from_env().name == "from the process"

    def test_the_environment_of_the_process_is_left_out_where_one_is_given(self, monkeypatch):
        monkeypatch.setenv("TAMS_NAME", "from the process")
        assert settings().name == "TAMS"

    def test_overrides_win_over_the_environment(self, tmp_path):
        made = Settings.from_env(DEVELOPMENT | {"TAMS_WORKERS": "7"}, workers=3, data_dir=tmp_path)
        assert (made.workers, made.data_dir) == (3, tmp_path)

    def test_an_empty_variable_counts_as_not_set(self):
        assert settings(TAMS_WORKERS="", TAMS_PUBLIC_URL=" ").workers == 2

    def test_settings_cannot_be_changed(self):
        with pytest.raises(AttributeError):
            settings().workers = 3  # type: ignore[misc]


class TestAuthentication:
    def test_production_is_the_default_and_does_not_start_without_authentication(self):
        with pytest.raises(ConfigurationError, match=r"TAMS_AUTH is not set.*TAMS_AUTH=none"):
            Settings.from_env({}).check_serving()

    def test_an_application_is_not_made_without_a_decision_on_authentication(self, tmp_path):
        with pytest.raises(ConfigurationError, match="TAMS_AUTH is not set"):
            create_app(Settings.from_env({}, data_dir=tmp_path / "data"))
        assert list(tmp_path.iterdir()) == []

    def test_production_starts_when_none_is_said_outright(self):
        made = Settings.from_env({"TAMS_AUTH": "none"})
        assert (made.environment, made.auth) == ("production", ())

    def test_development_means_none(self):
        assert settings().auth == ()

    @pytest.mark.parametrize("environment", ["production", "development"])
    def test_any_other_value_is_refused(self, environment):
        message = refusal({"ENVIRONMENT": environment, "TAMS_AUTH": "open"})
        assert message == (
            "TAMS_AUTH is 'open', which is not accepted: write none, or a comma-separated list of jwt, basic, token, "
            "such as TAMS_AUTH=basic,token."
        )


class TestSecretFiles:
    KEY = "k" * 32

    def test_a_secret_is_read_from_a_file_without_its_line_break(self, tmp_path):
        (tmp_path / "key").write_text(f"{self.KEY}\n")
        made = settings(TAMS_SECRET_KEY_FILE=str(tmp_path / "key"))
        assert made.secret_key == self.KEY

    @pytest.mark.parametrize("variable", [document.variable for document in documentation() if document.secret])
    def test_every_secret_may_be_in_a_file(self, variable, tmp_path):
        message = refusal(DEVELOPMENT | {f"{variable}_FILE": str(tmp_path / "absent")})
        assert message == (
            f"{variable}_FILE names {tmp_path}/absent, which cannot be read (No such file or directory): "
            "name a file that this user may read."
        )

    def test_a_secret_in_two_places_is_refused(self, tmp_path):
        (tmp_path / "key").write_text(self.KEY)
        message = refusal(DEVELOPMENT | {"TAMS_SECRET_KEY": self.KEY, "TAMS_SECRET_KEY_FILE": str(tmp_path / "key")})
        assert message == "TAMS_SECRET_KEY and TAMS_SECRET_KEY_FILE are both set: remove one of them."

    @pytest.mark.parametrize(
        ("content", "words"),
        [(b"\n", "which is empty"), (b"\xff" * 40, "not text in UTF-8"), (b"short", "is not accepted")],
    )
    def test_what_is_no_secret_is_refused_without_being_shown(self, content, words, tmp_path):
        (tmp_path / "key").write_bytes(content)
        message = refusal(DEVELOPMENT | {"TAMS_SECRET_KEY_FILE": str(tmp_path / "key")})
        assert words in message
        assert "short" not in message

    def test_only_secrets_have_files(self):
        assert "TAMS_WORKERS_FILE is not a setting" in refusal(DEVELOPMENT | {"TAMS_WORKERS_FILE": "/x"})


class TestOneWriter:
    VARIABLES = {  # noqa: RUF012
        "TAMS_REPOSITORY": "vast",
        "TAMS_VAST_ENDPOINT": "http://vast.example",
        "TAMS_VAST_ACCESS_KEY": "a",
        "TAMS_VAST_SECRET_KEY": "s",
        "TAMS_VAST_BUCKET": "b",
        "TAMS_VAST_CONCURRENCY": "single",
    }

    def test_the_number_of_processes_matters_where_requests_are_answered(self):
        with pytest.raises(ConfigurationError, match="TAMS_WORKERS=1"):
            settings(**self.VARIABLES).check_serving()
        settings(**self.VARIABLES, TAMS_WORKERS="1").check_serving()


class TestValues:
    @pytest.mark.parametrize(
        ("text", "size"),
        [("1", 1), ("512 kB", 512_000), ("16MiB", 16 * 1024**2), ("5gib", 5 * 1024**3), ("2TB", 2 * 10**12)],
    )
    def test_sizes(self, text, size):
        assert settings(TAMS_MAX_UPLOAD=text).max_upload == size

    @pytest.mark.parametrize(
        ("text", "value"), [("true", True), ("1", True), ("False", False), ("no", False), ("Auto", "auto")]
    )
    def test_booleans_and_auto(self, text, value):
        assert settings(TAMS_VERIFY_UPLOADS=text).verify_uploads is value

    def test_proxies_are_networks_or_the_word_unix(self):
        made = settings(TAMS_TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8,::1,unix")
        assert made.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "::1/128", "unix")

    def test_what_requests_may_lead_to_are_names_addresses_and_networks(self):
        made = settings(TAMS_OUTBOUND_ALLOW="hooks.example, 127.0.0.1,fd00::/8")
        assert made.outbound_allow == ("hooks.example", "127.0.0.1", "fd00::/8")

    def test_waits_are_a_list_of_seconds(self):
        assert settings(TAMS_WEBHOOK_RETRIES="0, 1,60").webhook_retries == (0, 1, 60)

    def test_the_key_of_webhooks_is_given_or_made_once(self, tmp_path):
        assert settings(TAMS_WEBHOOK_KEY="w" * 32).webhook_signing_key() == b"w" * 32
        made = settings(TAMS_DATA_DIR=str(tmp_path)).webhook_signing_key()
        assert len(made) >= 32
        assert settings(TAMS_DATA_DIR=str(tmp_path)).webhook_signing_key() == made
        (tmp_path / "webhook.key").write_text("short")
        with pytest.raises(ConfigurationError, match="TAMS_WEBHOOK_KEY"):
            settings(TAMS_DATA_DIR=str(tmp_path)).webhook_signing_key()

    def test_origins_are_a_list_or_all(self):
        assert settings(TAMS_CORS_ORIGINS="https://a.example, http://b.example:8080").cors_origins == (
            "https://a.example",
            "http://b.example:8080",
        )
        assert settings(TAMS_CORS_ORIGINS="*").cors_origins == ("*",)

    @pytest.mark.parametrize(
        ("text", "origin"),
        [
            ("HTTPS://Player.Example.COM", "https://player.example.com"),
            ("https://player.example.com:443", "https://player.example.com"),
            ("http://player.example.com:80/", "http://player.example.com"),
            ("http://player.example.com:443", "http://player.example.com:443"),
            ("http://localhost:08080", "http://localhost:8080"),
            ("http://my_host", "http://my_host"),
            ("http://[2001:DB8:0::1]:8080", "http://[2001:db8::1]:8080"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("https://a.example,https://A.example:443", "https://a.example"),
        ],
    )
    def test_origins_are_kept_as_browsers_send_them(self, text, origin):
        assert settings(TAMS_CORS_ORIGINS=text).cors_origins == (origin,)

    @pytest.mark.parametrize(
        "text",
        [
            "https://*.example.com",
            "https://*",
            "https://a.example,*",
            "https://a.example/app",
            "https://a.example?x",
            "https://user@a.example",
            "https://a..example",
            "http://127.1",
            "a.example",
            "file:///",
            "null",
        ],
    )
    def test_an_origin_that_no_browser_sends_is_refused(self, text):
        assert refusal(DEVELOPMENT | {"TAMS_CORS_ORIGINS": text}) == (
            f"TAMS_CORS_ORIGINS is {text!r}, which is not accepted: write a comma-separated list of origins (scheme, "
            "host and port; no path and no wildcard), or * alone, such as TAMS_CORS_ORIGINS=https://player.example.com."
        )

    def test_tags(self):
        assert settings(TAMS_STORAGE_TAGS='{"a": "b", "c": ["d", "e"]}').storage_tags == {"a": "b", "c": ["d", "e"]}

    def test_base_urls_lose_their_last_slash(self):
        assert settings(TAMS_PUBLIC_URL="https://tams.example.com/api/").public_url == "https://tams.example.com/api"

    def test_a_postgresql_url_names_the_driver_that_the_store_brings(self):
        pytest.importorskip("psycopg")
        made = settings(TAMS_DATABASE_URL="postgresql://tams:pass@db/tams")
        assert made.database_url == "postgresql+psycopg://tams:pass@db/tams"
        assert made.shown_database_url() == "postgresql+psycopg://tams:***@db/tams"

    @pytest.mark.parametrize(
        ("variable", "text"),
        [
            ("ENVIRONMENT", "staging"),
            ("LOG_LEVEL", "TRACE"),
            ("TAMS_CORS_ORIGINS", "https://a.example/path"),
            ("TAMS_CORS_ORIGINS", "a.example"),
            ("TAMS_DELETE_INLINE_LIMIT", "0"),
            ("TAMS_MAX_BODY", "0"),
            ("TAMS_MAX_BODY", "16M"),
            ("TAMS_MAX_BODY", "-1"),
            ("TAMS_MIN_OBJECT_TIMEOUT", "299"),
            ("TAMS_MIN_OBJECT_TIMEOUT", "600.5"),
            ("TAMS_MIN_PRESIGNED_URL_TIMEOUT", "29"),
            ("TAMS_PUBLIC_URL", "tams.example.com"),
            ("TAMS_PUBLIC_URL", "ftp://tams.example.com"),
            ("TAMS_PUBLIC_URL", "https://tams.example.com/?a=b"),
            ("TAMS_PUBLIC_URL", "https://tams.example.com:port"),
            ("TAMS_STORAGE_ID", "A1A0A7A6-2B3C-4D5E-8F90-123456789ABC"),
            ("TAMS_STORAGE_LABEL", "a,b"),
            ("TAMS_STORAGE_TAGS", "[]"),
            ("TAMS_STORAGE_TAGS", '{"a": 1}'),
            ("TAMS_STORAGE_TAGS", "{"),
            ("TAMS_THREADS", "1"),
            ("TAMS_TRUSTED_PROXIES", "10.0.0.1/8"),
            ("TAMS_TRUSTED_PROXIES", "proxy.example"),
            ("TAMS_VERIFY_UPLOADS", "maybe"),
            ("TAMS_WORKERS", "many"),
            ("TAMS_OUTBOUND_ALLOW", "10.0.0.1/8"),
            ("TAMS_OUTBOUND_ALLOW", "*.example"),
            ("TAMS_OUTBOUND_ALLOW", "http://hooks.example"),
            ("TAMS_WEBHOOK_BACKLOG", "0"),
            ("TAMS_WEBHOOK_RETRIES", ","),
            ("TAMS_WEBHOOK_RETRIES", "1,-1"),
            ("TAMS_WEBHOOK_RETRIES", "1.5"),
            ("TAMS_WEBHOOK_TIMEOUT", "0"),
        ],
    )
    def test_a_wrong_value_is_named_with_what_to_write_instead(self, variable, text):
        message = refusal(DEVELOPMENT | {variable: text})
        assert message.startswith(f"{variable} is {text!r}, which is not accepted: write ")
        assert f"such as {variable}=" in message

    @pytest.mark.parametrize(
        ("variable", "text"),
        [
            ("TAMS_SECRET_KEY", "correct horse"),
            ("TAMS_DATABASE_URL", "mysql://tams:correct-horse@db/tams"),
            ("TAMS_DATABASE_URL", "correct horse"),
            ("TAMS_DATABASE_URL", "sqlite://"),
            ("TAMS_DATABASE_URL", "sqlite:///:memory:"),
        ],
    )
    def test_a_wrong_value_that_may_be_secret_is_not_repeated(self, variable, text):
        message = refusal(DEVELOPMENT | {variable: text})
        assert message.startswith(f"{variable} has a value that is not accepted: write ")
        assert "horse" not in message

    def test_every_example_in_a_refusal_is_accepted(self):
        from dataclasses import fields

        for declared in fields(Settings):
            variable = declared.metadata["variable"] or f"TAMS_{declared.name.upper()}"
            example = declared.metadata["kind"].example
            if not example.startswith("$("):  # shown as the command that makes one
                # Some go with authentication only.
                settings(**{"TAMS_AUTH": "basic", variable: example})

    def test_signed_urls_do_not_outlive_the_wait_for_an_object(self):
        message = refusal(DEVELOPMENT | {"TAMS_MIN_OBJECT_TIMEOUT": "300", "TAMS_MIN_PRESIGNED_URL_TIMEOUT": "301"})
        assert "TAMS_MIN_PRESIGNED_URL_TIMEOUT (301) is above TAMS_MIN_OBJECT_TIMEOUT (300)" in message

    def test_secrets_are_not_in_the_representation(self):
        made = settings(TAMS_SECRET_KEY="s" * 40, TAMS_DATABASE_URL="sqlite:////tmp/private.db")
        assert "sss" not in repr(made)
        assert "private" not in repr(made)


class TestUnknownVariables:
    def test_the_nearest_setting_is_suggested(self):
        assert refusal({"TAMS_AUHT": "none"}) == "TAMS_AUHT is not a setting: did you mean TAMS_AUTH?"

    def test_where_nothing_is_near_the_list_is_named(self):
        assert "`tams settings`" in refusal({"TAMS_XYZZY": "1"})

    @pytest.mark.parametrize("variable", ["TAMS_HOST", "TAMS_PORT", "TAMS_CLIENT_URL", "TAMS_TEST_POSTGRESQL", "HOME"])
    def test_variables_of_other_programs_are_ignored(self, variable):
        assert settings(**{variable: "8000"}) == settings()

    @pytest.mark.parametrize("service", ["tams", "tams-api", "tams-postgresql", "tams-service", "tams-port"])
    @pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
    def test_the_variables_of_a_service_in_kubernetes_are_ignored(self, service, protocol):
        assert settings(**variables_of_kubernetes(service, protocol)) == settings()

    @pytest.mark.parametrize(
        "variable",
        ["TAMS_S3_PORT", "TAMS_API_HOST", "TAMS_SERVICE_NAME", "TAMS_PORT_HTTP", "TAMS_PORTS", "TAMS_8000_TCP"],
    )
    def test_a_variable_that_only_resembles_them_is_refused(self, variable):
        assert refusal({variable: "8000"}).startswith(f"{variable} is not a setting: ")

    def test_no_setting_looks_like_an_ignored_variable(self):
        ignored = [
            document.variable
            for document in documentation()
            if is_ignored(document.variable, "8000") or is_ignored(document.variable, "tcp://10.0.0.1:8000")
        ]
        assert ignored == []


def variables_of_kubernetes(service: str, protocol: str) -> dict[str, str]:
    """Return the variables by which Kubernetes describes a Service with two ports, named `http` and `https-alt`."""
    prefix = service.upper().replace("-", "_")
    variables = {
        f"{prefix}_SERVICE_HOST": "10.0.0.1",
        f"{prefix}_SERVICE_PORT": "8000",
        f"{prefix}_SERVICE_PORT_HTTP": "8000",
        f"{prefix}_SERVICE_PORT_HTTPS_ALT": "8443",
        f"{prefix}_PORT": f"{protocol}://10.0.0.1:8000",
    }
    for port in ("8000", "8443"):
        address = f"{prefix}_PORT_{port}_{protocol.upper()}"
        variables |= {
            address: f"{protocol}://10.0.0.1:{port}",
            f"{address}_PROTO": protocol,
            f"{address}_PORT": port,
            f"{address}_ADDR": "10.0.0.1",
        }
    return variables


class TestDataDirectory:
    def test_it_is_made_with_its_parents(self, tmp_path):
        made = settings(TAMS_DATA_DIR=str(tmp_path / "a" / "b"))
        made.prepare_data_dir()
        assert list(made.data_dir.iterdir()) == []

    def test_one_that_cannot_be_made_is_refused(self, tmp_path):
        (tmp_path / "file").touch()
        made = settings(TAMS_DATA_DIR=str(tmp_path / "file" / "data"))
        with pytest.raises(ConfigurationError, match="cannot be written to"):
            made.prepare_data_dir()

    def test_the_signing_key_is_made_once_and_only_its_owner_can_read_it(self, tmp_path):
        key = settings(TAMS_DATA_DIR=str(tmp_path)).signing_key()
        assert len(key) >= 32
        assert settings(TAMS_DATA_DIR=str(tmp_path)).signing_key() == key
        assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]

    def test_a_signing_key_from_the_environment_leaves_no_file(self, tmp_path):
        made = settings(TAMS_DATA_DIR=str(tmp_path), TAMS_SECRET_KEY="k" * 32)
        assert made.signing_key() == b"k" * 32
        assert list(tmp_path.iterdir()) == []

    def test_a_signing_key_that_was_emptied_is_refused(self, tmp_path):
        (tmp_path / "secret.key").touch()
        with pytest.raises(ConfigurationError, match="holds no signing key"):
            settings(TAMS_DATA_DIR=str(tmp_path)).signing_key()

    def test_the_storage_id_is_made_once(self, tmp_path):
        made = settings(TAMS_DATA_DIR=str(tmp_path)).local_storage_id()
        assert is_uuid(made)
        assert made[14] == "4"
        assert settings(TAMS_DATA_DIR=str(tmp_path)).local_storage_id() == made

    def test_the_storage_id_of_the_environment_wins(self, tmp_path):
        given = "a1a0a7a6-2b3c-4d5e-8f90-123456789abc"
        assert settings(TAMS_DATA_DIR=str(tmp_path), TAMS_STORAGE_ID=given).local_storage_id() == given

    def test_a_storage_id_that_was_damaged_is_refused(self, tmp_path):
        (tmp_path / "storage.id").write_text("local\n")
        with pytest.raises(ConfigurationError, match="does not hold a UUID"):
            settings(TAMS_DATA_DIR=str(tmp_path)).local_storage_id()

    def test_processes_that_start_at_once_agree_on_the_key(self, tmp_path):
        program = "from tams.config import Settings; print(Settings.from_env().signing_key().decode())"
        environment = {**os.environ, **DEVELOPMENT, "TAMS_DATA_DIR": str(tmp_path / "data")}
        started = [
            subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(6)
        ]
        keys = [process.communicate(timeout=60)[0] for process in started]
        assert len(set(keys)) == 1
        assert keys[0].strip() == (tmp_path / "data" / "secret.key").read_text().strip()
