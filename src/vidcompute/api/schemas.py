"""What callers send. Wire models, never reused as domain types; an unknown field is an error that names it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from vidcompute.api import problems
from vidcompute.api.problems import InvalidFields
from vidcompute.domain.job import (
    Codec,
    Detail,
    FrameMode,
    FramesSpec,
    JobSpec,
    Ocr,
    OutputSpec,
    Packaging,
    Preset,
    Priority,
)

M = TypeVar("M", bound=BaseModel)

_BITRATE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s?([kKmM]?)(?:bps|b/s)?")
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000}
_MIN_BPS, _MAX_BPS = 10_000, 800_000_000
_INPUT_SCHEMES = ("https", "http", "gs", "s3", "file")
#: For the description of the API; what is taken is decided by `_input`.
_INPUT_PATTERN = (
    r"^(https?|gs|s3)://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,4})?(/[^\u0000]*)?$"
    r"|^file:///[^/\u0000][^\u0000]*$|^upload:[A-Za-z0-9_-]+$"
)


def storable(text: str) -> str:
    """`text`, unless Postgres could not keep it: NUL, or halves of surrogate pairs."""
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("must not hold NUL or lone surrogates")
    return text


def _bitrate(value: Any) -> Any:
    """Bits per second of 3000000, "3M", "800k" or "2.5 Mbps"."""
    if isinstance(value, str):
        match = _BITRATE.fullmatch(value.strip())
        if match is None:
            raise ValueError('must look like "3M", "800k" or 3000000 (bits per second)')
        value = round(float(match[1]) * _SCALE[match[2].lower()])
    return value


def _input(value: str) -> str:
    if value.startswith("upload:"):
        if len(value) == len("upload:"):
            raise ValueError("upload: needs the id of an upload")
        return value
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from error
    if parts.scheme not in _INPUT_SCHEMES:
        allowed = ", ".join(f"{scheme}://…" for scheme in _INPUT_SCHEMES)
        raise ValueError(f"must be {allowed} or upload:<id>")
    if not (parts.path.strip("/") if parts.scheme == "file" else parts.netloc):
        raise ValueError("names no file" if parts.scheme == "file" else "names no host or bucket")
    return value


def _webhook(value: str) -> str:
    if urlsplit(value).scheme not in {"https", "http"}:
        raise ValueError("must be an http(s) URL")
    return value


def _distinct(value: list[Packaging]) -> list[Packaging]:
    if len(set(value)) != len(value):
        raise ValueError("must not repeat an entry")
    return value


Text = Annotated[str, AfterValidator(storable), Field(json_schema_extra={"pattern": r"^[^\u0000]*$"})]
Bitrate = Annotated[
    int,
    BeforeValidator(_bitrate),
    Field(ge=_MIN_BPS, le=_MAX_BPS),
    WithJsonSchema(
        {
            "description": 'Bits per second; "3M" and "800k" are understood.',
            "examples": ["3M"],
            "anyOf": [
                {"type": "integer", "minimum": _MIN_BPS, "maximum": _MAX_BPS},
                {"type": "string", "pattern": r"^[1-9]\d{1,2}(\.\d{1,3})?[kK]$|^[1-9]\d{0,1}(\.\d{1,3})?[mM]$"},
            ],
        }
    ),
]
_WEBHOOK = Field(max_length=2048, json_schema_extra={"pattern": r"^https?://[A-Za-z0-9.-]+(/[^\u0000]*)?$"})
TagKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
TagValue = Annotated[Text, Field(max_length=256)]


class Wire(BaseModel):
    """Base of all bodies: nothing unknown, nothing changed after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OutputIn(Wire):
    """One rung of the ladder. `height` counts the short side of the picture."""

    height: int = Field(ge=16, le=4320, examples=[720])
    codec: Codec | None = Field(None, description="This rung's own codec.")
    bitrate: Bitrate | None = Field(None, description="This rung's own bit rate.")


class QualityIn(Wire):
    """Quality target."""

    vmaf: float = Field(ge=20, le=100, description="Harmonic mean VMAF to aim for.")


class FramesIn(Wire):
    """How frames are chosen and described; rows exist for every frame in all modes."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"mode": {"const": "fps"}}, "required": ["mode"]},
            "then": {"properties": {"fps": {"type": "number"}}, "required": ["fps"]},
        }
    )

    mode: FrameMode = FrameMode.AUTO
    fps: float | None = Field(None, gt=0, le=60, description="Described frames per second, for mode `fps`.")
    budget_usd: float | None = Field(None, ge=0, le=1_000_000)
    detail: Detail = Detail.LOW
    ocr: Ocr = Ocr.AUTO
    prompt: Text | None = Field(None, max_length=4000)

    @model_validator(mode="after")
    def _rate_and_mode(self) -> FramesIn:
        if self.mode is FrameMode.FPS and self.fps is None:
            raise ValueError('mode "fps" needs fps')
        return self


class JobOptions(Wire):
    """A job spec without its input: the `spec` part of a multipart submission."""

    name: Text | None = Field(None, min_length=1, max_length=255, description="Shown to people; default: the file's.")
    priority: Priority = Priority.NORMAL
    tags: dict[TagKey, TagValue] = Field(default={}, max_length=32)
    outputs: list[OutputIn] | None = Field(None, max_length=12, description="Default: fitted to the source.")
    codec: Codec = Codec.H264
    bitrate: Bitrate | None = None
    preset: Preset = Preset.BALANCED
    packaging: Annotated[list[Packaging], AfterValidator(_distinct)] = Field(
        default=[Packaging.HLS, Packaging.DASH], min_length=1, json_schema_extra={"uniqueItems": True}
    )
    quality: QualityIn | None = None
    enable_llm: bool = Field(default=True, description="false: streaming only, no frame rows.")
    frames: FramesIn = FramesIn()
    max_attempts: int | None = Field(None, ge=1, le=20, description="Failures allowed; default 4.")
    deadline_s: float | None = Field(None, gt=0, le=7 * 86400)
    webhook_url: Annotated[Text, AfterValidator(_webhook), _WEBHOOK] | None = None

    def to_domain(self, source: str, *, max_attempts: int) -> JobSpec:
        """The domain's spec, with `source` as its input; `max_attempts` is for those who do not say."""
        return JobSpec(
            input=source,
            name=self.name,
            priority=self.priority,
            tags=dict(self.tags),
            outputs=tuple(OutputSpec(item.height, item.codec, item.bitrate) for item in self.outputs or ()),
            codec=self.codec,
            bitrate_bps=self.bitrate,
            preset=self.preset,
            packaging=tuple(self.packaging),
            quality_vmaf=self.quality.vmaf if self.quality else None,
            enable_llm=self.enable_llm,
            frames=FramesSpec(**self.frames.model_dump()),
            max_attempts=self.max_attempts or max_attempts,
            deadline_s=self.deadline_s,
            webhook_url=self.webhook_url,
        )


class JobRequest(JobOptions):
    """A job spec. Only `input` is required."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"input": "https://example.com/beach.mp4"},
                {
                    "input": "https://example.com/beach.mp4",
                    "outputs": [{"height": 720, "bitrate": "3M"}, {"height": 360}],
                    "tags": {"team": "ads"},
                    "priority": "high",
                },
            ]
        }
    )

    input: Annotated[Text, AfterValidator(_input)] = Field(
        max_length=4096,
        description="`https://…`, `gs://…`, `s3://…`, `file:///…` or `upload:<id>`.",
        json_schema_extra={"pattern": _INPUT_PATTERN},
    )


_Ids = Annotated[list[Annotated[Text, Field(max_length=64)]], Field(min_length=1, max_length=1000)]


class RequeueIn(Wire):
    """Which dead letters to try again: these, or all."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["ids"]}, {"required": ["all"]}]})

    ids: _Ids | SkipJsonSchema[None] = None
    all: Literal[True] | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _one_of(self) -> RequeueIn:
        if (self.ids is None) == (self.all is None):
            raise ValueError('give either ids or "all": true')
        return self


def spec_out(spec: JobSpec) -> dict[str, Any]:
    """A stored spec in the words of the request."""
    outputs = [{"height": item.height_px, "codec": item.codec, "bitrate": item.bitrate_bps} for item in spec.outputs]
    return {
        "input": spec.input,
        "name": spec.name,
        "priority": spec.priority,
        "tags": spec.tags,
        "outputs": outputs or None,
        "codec": spec.codec,
        "bitrate": spec.bitrate_bps,
        "preset": spec.preset,
        "packaging": list(spec.packaging),
        "quality": {"vmaf": spec.quality_vmaf} if spec.quality_vmaf is not None else None,
        "enable_llm": spec.enable_llm,
        "frames": {
            "mode": spec.frames.mode,
            "fps": spec.frames.fps,
            "budget_usd": spec.frames.budget_usd,
            "detail": spec.frames.detail,
            "ocr": spec.frames.ocr,
            "prompt": spec.frames.prompt,
        },
        "max_attempts": spec.max_attempts,
        "deadline_s": spec.deadline_s,
        "webhook_url": spec.webhook_url,
    }


def parse_body(model: type[M], body: bytes) -> M:
    """`body` as `model`. Raises problems.MalformedBody for no JSON, InvalidFields for JSON that does not fit."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
        if found[0]["type"] == "json_invalid":
            raise problems.MalformedBody(str(found[0].get("ctx", {}).get("error", "not JSON"))) from error
        raise InvalidFields(problems.field_errors(found)) from error


#: A query parameter that is text for the database.
QueryText = Annotated[Text | None, Query(max_length=1000)]
