"""Configuration: precedence, validation, and one message for every mistake."""

from pathlib import Path

import pytest

from vidcompute import config
from vidcompute.errors import InvalidConfig


def test_defaults_need_no_file_and_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    loaded = config.load(environ={})

    assert loaded.port == 8080
    assert loaded.loopback
    assert loaded.llm_provider is config.LlmProvider.LOCAL


def test_command_line_beats_environment_beats_file(tmp_path: Path):
    file = tmp_path / "vidcompute.yaml"
    file.write_text("port: 1000\nlease_s: 11\nhost: 127.0.0.1\n")
    environ = {"VIDCOMPUTE_PORT": "2000", "VIDCOMPUTE_LEASE_S": "12"}

    loaded = config.load(path=file, environ=environ, overrides={"port": 3000, "host": None})

    assert (loaded.port, loaded.lease_s, loaded.host) == (3000, 12.0, "127.0.0.1")


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"VIDCOMPUTE_PORT": "70000"}, ["PORT", "70000", "less than or equal to 65535"]),
        ({"VIDCOMPUTE_PORT": "x", "VIDCOMPUTE_LEASE_S": "0"}, ["PORT", "LEASE_S"]),
        ({"VIDCOMPUTE_SANDBOX": "maybe"}, ["SANDBOX", "'auto', 'required' or 'off'"]),
        ({"VIDCOMPUTE_LOG_LEVEL": "loud"}, ["LOG_LEVEL", "pattern"]),
        ({"VIDCOMPUTE_TYPO": "1"}, ["TYPO", "no such key"]),
        ({"VIDCOMPUTE_LEASES_S": "1"}, ["LEASES_S", "did you mean LEASE_S?"]),
        ({"VIDCOMPUTE_DATABASE_URL": "pg://x"}, ["DATABASE_URL", "postgresql://"]),
        (
            {"VIDCOMPUTE_CLUSTER": "ray", "VIDCOMPUTE_LLM_PROVIDER": "openai"},
            ["CLUSTER = ray", "LLM_PROVIDER = openai"],
        ),
        ({"VIDCOMPUTE_EMBED_MODEL": "m", "VIDCOMPUTE_TRANSCRIBE_MODEL": "m"}, ["EMBED_MODEL", "TRANSCRIBE_MODEL"]),
        ({"VIDCOMPUTE_STORE_URL": "ftp://x"}, ["STORE_URL", "file:///"]),
        ({"VIDCOMPUTE_MAX_PIXELS": "0"}, ["MAX_PIXELS", "greater than or equal to 1"]),
        ({"VIDCOMPUTE_LLM_FRAMES_PER_REQUEST": "9"}, ["LLM_FRAMES_PER_REQUEST", "8"]),
        ({"VIDCOMPUTE_BACKOFF_BASE_S": "-1"}, ["BACKOFF_BASE_S", "greater than 0"]),
        ({"VIDCOMPUTE_ALLOW_PRIVATE_NETWORKS": "perhaps"}, ["ALLOW_PRIVATE_NETWORKS", "bool"]),
    ],
)
def test_every_bad_key_is_named_with_its_value_and_what_is_allowed(environ: dict[str, str], names: list[str]):
    with pytest.raises(InvalidConfig) as caught:
        config.load(environ=environ)

    for name in names:
        assert name in caught.value.detail


def test_a_bad_secret_is_named_but_never_shown():
    with pytest.raises(InvalidConfig) as caught:
        config.load(environ={"VIDCOMPUTE_LLM_API_KEY": "sk-very-secret", "VIDCOMPUTE_LLM_RPM": "0"})

    assert "LLM_RPM" in caught.value.detail
    assert "sk-very-secret" not in caught.value.detail


def test_an_openai_key_in_the_environment_never_selects_a_paid_provider():
    loaded = config.load(environ={"OPENAI_API_KEY": "sk-x"})

    assert loaded.llm_provider is config.LlmProvider.LOCAL
    assert loaded.llm_api_key is None


def test_lists_come_as_commas_from_the_environment():
    loaded = config.load(environ={"VIDCOMPUTE_FILE_ROOTS": "/a, /b", "VIDCOMPUTE_ALLOWED_HOSTS": "video.example"})

    assert loaded.file_roots == (Path("/a"), Path("/b"))
    assert loaded.allowed_hosts == ("video.example",)


def test_a_group_is_a_prefix_in_file_and_environment(tmp_path: Path):
    file = tmp_path / "vidcompute.yaml"
    file.write_text("llm:\n  rpm: 30\nbackoff: {base_s: 5}\n")

    loaded = config.load(path=file, environ={"VIDCOMPUTE_LLM__TPM": "7"})

    assert (loaded.llm_rpm, loaded.llm_tpm, loaded.backoff_base_s) == (30, 7, 5.0)


def test_an_empty_variable_means_not_set():
    assert config.load(environ={"VIDCOMPUTE_DATABASE_URL": ""}).database_url is None


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n"])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str):
    file = tmp_path / "broken.yaml"
    file.write_text(text)

    with pytest.raises(InvalidConfig, match=r"broken\.yaml"):
        config.load(path=file, environ={})
