"""Configuration: a frozen record from `vidcompute.yaml` and `VIDCOMPUTE_*`, checked once at the start.

Precedence: explicit overrides (command line) > environment > YAML file > defaults. Nested keys use
`__`. Every bad key is reported in one message with its value (secrets masked) and what is allowed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from vidcompute.errors import InvalidConfig

PREFIX = "VIDCOMPUTE_"
_GIB = 1024**3


class Role(StrEnum):
    """What a process does; `serve` runs all three by default."""

    API = "api"
    WORKER = "worker"
    MAINTENANCE = "maintenance"


class ClusterKind(StrEnum):
    """Where tasks run."""

    LOCAL = "local"
    RAY = "ray"


class Toggle(StrEnum):
    """A protection that may be demanded, used where possible, or switched off."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class LlmProvider(StrEnum):
    """Who describes frames. A key in the environment alone never selects a paid one."""

    LOCAL = "local"
    OPENAI = "openai"


def default_data_dir() -> Path:
    """Where data lives unless told: the system's place for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/vidcompute")
    return Path(platformdirs.user_data_dir("vidcompute", appauthor=False))


#: Keys of the contract whose parts are still to come.
_LATER = (
    "embed_base_url",
    "embed_api_key",
    "embed_model",
    "transcribe_base_url",
    "transcribe_api_key",
    "transcribe_model",
)

Url = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://.*$")]


class Config(BaseModel):
    """All settings. Field names in capitals are the keys; see docs/reference/configuration.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data_dir: Path = Field(default_factory=default_data_dir, description="Everything this machine keeps.")
    database_url: SecretStr | None = Field(None, description="PostgreSQL ≥ 16; empty: embedded.")
    redis_url: SecretStr | None = Field(None, description="Redis ≥ 6.2 or Valkey; empty: queue in memory.")
    store_url: Url | None = Field(None, description="file://, gs:// or s3://; empty: DATA_DIR/blobs.")
    cluster: ClusterKind = Field(ClusterKind.LOCAL, description="Where tasks run.")
    ray_address: str | None = Field(None, description="Address of the Ray head, for CLUSTER=ray.")
    node_name: str = Field("local", min_length=1, max_length=63, description="Name of this machine in the cluster.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allowed_hosts: tuple[str, ...] = Field((), description="Host names accepted besides loopback ones.")
    cors_origins: tuple[str, ...] = Field((), description="Web origins that may call the API.")
    auth: Toggle = Field(Toggle.AUTO, description="auto: no key needed on a loopback bind only.")
    sandbox: Toggle = Field(Toggle.AUTO, description="Box around untrusted bytes; required refuses to run without.")
    ffmpeg: Path | None = Field(None, description="The ffmpeg program; empty: the one that came with the package.")
    file_roots: tuple[Path, ...] = Field((), description="Folders below which file:// inputs may lie.")
    allow_private_networks: bool = Field(default=False, description="Let inputs come from private addresses.")
    llm_provider: LlmProvider = Field(LlmProvider.LOCAL, description="Who describes frames.")
    llm_base_url: Url | None = Field(None, description="OpenAI-compatible server.")
    llm_api_key: SecretStr | None = Field(None, description="Key; OPENAI_API_KEY is used if LLM_PROVIDER=openai.")
    llm_model: str | None = Field(None, description="Model name.")
    llm_rpm: int | None = Field(None, ge=1, description="Requests per minute.")
    llm_tpm: int | None = Field(None, ge=1, description="Tokens per minute.")
    llm_frames_per_request: int = Field(4, ge=1, le=8, description="Pictures per request.")
    embed_base_url: Url | None = Field(None, description="OpenAI-compatible server for search by meaning.")
    embed_api_key: SecretStr | None = Field(None, description="Its key.")
    embed_model: str | None = Field(None, description="Its model.")
    transcribe_base_url: Url | None = Field(None, description="OpenAI-compatible server for speech.")
    transcribe_api_key: SecretStr | None = Field(None, description="Its key.")
    transcribe_model: str | None = Field(None, description="Its model.")
    max_attempts: int = Field(4, ge=1, le=20, description="Default for jobs that do not say.")
    backoff_base_s: float = Field(2.0, gt=0, le=3600, description="First retry pause, before jitter.")
    backoff_cap_s: float = Field(300.0, gt=0, le=86400, description="Longest retry pause.")
    lease_s: float = Field(30.0, ge=2, le=3600, description="How long a silent worker keeps a job.")
    drain_s: float = Field(0.0, ge=0, le=86400, description="Time to finish running tasks on SIGTERM; 0 releases.")
    max_upload_bytes: int = Field(50 * _GIB, ge=1, description="Largest source.")
    max_duration_s: float = Field(12 * 3600, gt=0, description="Longest source.")
    max_pixels: int = Field(8192 * 4320, ge=1, description="Largest picture, width × height.")
    max_streams: int = Field(64, ge=1, le=1000, description="Most streams in a source.")
    task_memory_bytes: int = Field(4 * _GIB, ge=256 * 1024**2, description="Address space of ffmpeg in the box.")
    cache_bytes: int = Field(20 * _GIB, ge=0, description="Originals kept on a node for its next tasks.")
    cpu: float | None = Field(None, gt=0, description="Cores to use; empty: all that this process may.")
    ocr: bool = Field(default=True, description="Read on-screen text where the job says auto.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severe line logged.")
    reconcile_s: float = Field(10.0, gt=0, description="Pause between reconciliations.")

    @field_validator("data_dir", "ffmpeg", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("file_roots", "allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("database_url", mode="after")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return value

    @model_validator(mode="after")
    def _coherent(self) -> Config:
        if missing := list(self._unavailable()):
            raise ValueError("\n  ".join(missing))
        return self

    def _unavailable(self) -> Iterator[str]:
        """What the contract names and this version does not have: said at the start, not found out later."""
        away = {
            "LLM_PROVIDER = openai": self.llm_provider is LlmProvider.OPENAI,
            "CLUSTER = ray": self.cluster is ClusterKind.RAY,
            "REDIS_URL": self.redis_url is not None,
            "STORE_URL, but for file:///…,": not (self.store_url or "file:///").startswith("file:///"),
            **{name.upper(): getattr(self, name) is not None for name in _LATER},
        }
        yield from (f"{what} is not available in this version; leave it out" for what, asked in away.items() if asked)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in {"127.0.0.1", "::1", "localhost"}

    @property
    def blobs_dir(self) -> Path:
        """Folder of the local object store."""
        return Path(self.store_url.removeprefix("file://")) if self.store_url else self.data_dir / "blobs"


def load(
    *,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration from file, environment and overrides. Raises InvalidConfig naming every bad key."""
    env = os.environ if environ is None else environ
    values: dict[str, Any] = _from_file(path)
    origin = dict.fromkeys(values, str(path or "vidcompute.yaml"))
    for name, raw in _from_environment(env).items():
        values[name] = raw
        origin[name] = "environment"
    for name, raw in (overrides or {}).items():
        if raw is not None:
            values[name] = raw
            origin[name] = "command line"
    if values.get("llm_provider") == LlmProvider.OPENAI and not values.get("llm_api_key") and env.get("OPENAI_API_KEY"):
        values["llm_api_key"] = env["OPENAI_API_KEY"]
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InvalidConfig(_report(error, origin)) from error


def _from_file(path: Path | None) -> dict[str, Any]:
    chosen = path or Path("vidcompute.yaml")
    if path is None and not chosen.exists():
        return {}
    try:
        data = yaml.safe_load(chosen.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{chosen} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise InvalidConfig(f"{chosen} must hold keys and values, not {type(data).__name__}")
    return _flat(data)


def _flat(data: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """`{"llm": {"rpm": 3}}` as `{"llm_rpm": 3}`: a group in the file is a prefix of the key."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}".lower()
        found |= _flat(value, f"{name}_") if isinstance(value, dict) else {name: value}
    return found


#: Set by wrappers and tests, not settings of the service.
_NOT_OURS = frozenset({"server", "config"})


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, raw in environ.items():
        # A double underscore steps into a group, as in the file.
        name = key.removeprefix(PREFIX).lower().replace("__", "_")
        # An empty variable is how compose files and shells say "not set".
        if key.startswith(PREFIX) and name not in _NOT_OURS and raw != "":
            found[name] = raw
    return found


def _report(error: ValidationError, origin: Mapping[str, str]) -> str:
    lines = []
    for item in error.errors(include_url=False):
        key = "__".join(str(part) for part in item["loc"])
        if not key:
            lines.append(f"  {item['msg'].removeprefix('Value error, ')}")
            continue
        secret = key.endswith(("key", "secret", "token", "_url"))
        value = "***" if secret else repr(item["input"])
        where = origin.get(key.split("__", maxsplit=1)[0], "default")
        said = _unknown(key) if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        lines.append(f"  {key.upper()} = {value} (from {where}): {said}")
    return "wrong settings:\n" + "\n".join(lines)


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key, Config.model_fields, n=1)
    return "there is no such key" + (f"; did you mean {close[0].upper()}?" if close else "; `vidctl config` lists all")
