"""Settings from the environment and from secret files."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import Settings, SettingsError, read_settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [row[0] for row in Settings.table()]:
        monkeypatch.delenv(name, raising=False)


def test_defaults_run_on_one_machine() -> None:
    settings = read_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.resolved_database_url == f"sqlite:///{Path('.chainrule').absolute()}/chainrule.db"
    assert settings.resolved_broker_url == "filesystem://"
    assert settings.workers >= 1
    assert settings.job_threads >= 1


def test_environment_sets_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_PORT", "0")
    monkeypatch.setenv("CHAINRULE_WORKERS", "3")
    monkeypatch.setenv("CHAINRULE_DATABASE_URL", "postgresql://db/chainrule")
    settings = read_settings()
    assert (settings.port, settings.workers, settings.resolved_database_url) == (0, 3, "postgresql://db/chainrule")


def test_options_take_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_PORT", "9000")
    assert read_settings(port=9001).port == 9001


def test_empty_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_DATABASE_URL", "")
    assert read_settings().database_url is None


def test_environment_takes_precedence_over_secret_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chainrule_database_url").write_text("postgresql://secret/one\n")
    (tmp_path / "chainrule_broker_url").write_text("redis://secret\n")
    monkeypatch.setenv("CHAINRULE_BROKER_URL", "redis://open")
    settings = read_settings(secrets=tmp_path)
    assert (settings.resolved_database_url, settings.resolved_broker_url) == ("postgresql://secret/one", "redis://open")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CHAINRULE_PROT", "1", "is not a setting"),
        ("CHAINRULE_PORT", "eighty", "valid integer"),
        ("CHAINRULE_PORT", "70000", "65535"),
        ("CHAINRULE_WORKERS", "0", "greater than 0"),
        ("CHAINRULE_LEASE_SECONDS", "nan", "finite"),
        ("CHAINRULE_LEASE_SECONDS", "0.5", "greater than or equal to 1"),
        ("CHAINRULE_LOG_FORMAT", "xml", "console"),
        ("CHAINRULE_MAX_BODIES_BYTES", "20000000", "twice CHAINRULE_MAX_BODY_BYTES"),
        ("CHAINRULE_MAX_UPLOADS_BYTES", "1073741824", "twice CHAINRULE_MAX_UPLOAD_BYTES"),
        ("CHAINRULE_DATABASE_URL", "mysql://db", "sqlite:/// or postgresql://"),
        ("CHAINRULE_BROKER_URL", "localhost", "redis://"),
        ("CHAINRULE_ALLOWED_HOSTS", "https://train.example.org", "without scheme"),
        ("CHAINRULE_ALLOWED_HOSTS", "localhost,train.example.org:8000", "port"),
        ("CHAINRULE_ALLOWED_HOSTS", "*.example.org", "host names"),
        ("CHAINRULE_CORS_ORIGINS", "*", "must be origins"),
        ("CHAINRULE_CORS_ORIGINS", "null", "must be origins"),
        ("CHAINRULE_CORS_ORIGINS", "app.example.org", "with scheme"),
        ("CHAINRULE_CORS_ORIGINS", "https://app.example.org, https://b.example.org/", "without path"),
        ("CHAINRULE_CORS_ORIGINS", "https://app.example.org:443", "default port"),
    ],
)
def test_invalid_variable_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        read_settings()
    assert str(error.value).startswith(f"{name}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["CHAINRULE_REQUIRE", "CHAINRULE_TEST_POSTGRES", "CHAINRULE_CHAOS_ROUNDS"])
def test_variables_of_the_tests_are_ignored(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    expected = read_settings()
    monkeypatch.setenv(name, "1")
    assert read_settings() == expected


def test_hosts_and_origins_are_lists_in_lower_case() -> None:
    settings = Settings(host="::1", allowed_hosts="A.example, [fd00::1],*,", cors_origins="https://B.example:444")
    assert settings.allowed_host_names == {"::1", "a.example", "fd00::1", "*"}
    assert settings.allowed_origins == {"https://b.example:444"}
    assert Settings().allowed_host_names == {"127.0.0.1"}
    assert Settings().allowed_origins == set()


def test_job_threads_default_to_cores_divided_by_workers() -> None:
    assert Settings(workers=10_000).job_threads == 1
    assert Settings(workers=1, threads=7).job_threads == 7


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_table_has_every_setting_with_its_meaning() -> None:
    table = Settings.table()
    assert [row[0] for row in table] == [f"CHAINRULE_{name.upper()}" for name in Settings.model_fields]
    assert all(default and meaning.endswith(".") for _, default, meaning in table)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("CHAINRULE_PROT", "is not a setting: did you mean CHAINRULE_PORT?"),
        ("CHAINRULE_DATABASE", "is not a setting: did you mean CHAINRULE_DATABASE_URL?"),
        ("CHAINRULE_LOGLEVEL", "is not a setting: did you mean CHAINRULE_LOG_LEVEL?"),
        ("CHAINRULE_XYZ", "is not a setting; docs/reference/settings.md lists all"),
    ],
)
def test_unknown_variable_that_is_nearly_right_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert str(caught.value) == f"{name}: {remedy}"
