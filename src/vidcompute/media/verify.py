"""Success is verified, never inferred: reads back what was published and judges it against the plan.

ffmpeg exits 0 on half a source, and a packager may be wrong. So nothing here trusts what was measured on the way: the
playlists are read and linted again, every file they name is opened, and all three descriptions (HLS, DASH,
manifest.json) must agree with the files. A source that gave less than was expected is a warning, not a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pydantic import ValidationError

from vidcompute.domain.plan import Plan
from vidcompute.errors import OutputInvalid
from vidcompute.media.manifest import MANIFEST_URI, MASTER_URI, Manifest, PublishedFile, Rendition, Stream, from_json
from vidcompute.media.mpd_reader import read_mpd
from vidcompute.media.playlists import attributes
from vidcompute.media.remeasure import MeasuredStream, measure_stream, read_playlist

#: A source may be this much shorter or longer than its own index says before a person is told.
_TOLERANCE_S = Fraction(1, 2)
_TOLERANCE_SHARE = Fraction(1, 100)
#: A later first sound than this is a hole that players stall on or skip.
_AUDIO_START_S = Fraction(1, 10)


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that a person should know and that does not make the result useless."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """A result that was read back and holds. `duration` is that of the picture, in seconds."""

    duration: Fraction
    frames: int
    size_bytes: int
    renditions: tuple[Rendition, ...]
    warnings: tuple[Remark, ...]


def verify(directory: Path, plan: Plan) -> Verification:
    """Reads back the result in `directory`.

    OutputInvalid names the first thing that is wrong: a playlist rule, a missing or changed file, a gap, renditions of
    different length, descriptions that disagree, or a result without pictures. Warnings carry the codes `partial`,
    `longer_than_planned`, `audio_missing`, `audio_late`, `audio_shorter` and `audio_longer`.
    """
    manifest = _manifest(directory)
    video, audio = _streams(directory)
    measured = [*video, *audio]
    _check_renditions(video, plan)
    _check_manifest(manifest, measured)
    _check_mpd(directory, manifest, measured=measured)
    _check_strays(directory, measured)
    return Verification(
        duration=video[0].end_s,
        frames=video[0].samples,
        size_bytes=manifest.size_bytes,
        renditions=manifest.renditions,
        warnings=(*_judge_picture(video[0], plan), *_judge_sound(audio, plan, picture_s=video[0].end_s)),
    )


def _manifest(directory: Path) -> Manifest:
    try:
        return from_json((directory / MANIFEST_URI).read_bytes())
    except (OSError, ValidationError) as error:
        raise OutputInvalid(f"{MANIFEST_URI}: cannot be read ({error})") from error


def _streams(directory: Path) -> tuple[list[MeasuredStream], list[MeasuredStream]]:
    """Picture and sound that the master playlist leads to, each once (a rung is listed once per audio group)."""
    master = read_playlist(directory, MASTER_URI)
    video = dict.fromkeys(entry.uri for entry in master.entries)
    audio = dict.fromkeys(attributes(tag)["URI"] for tag in master.named("EXT-X-MEDIA"))
    return [measure_stream(directory, uri) for uri in video], [measure_stream(directory, uri) for uri in audio]


def _check_renditions(video: Sequence[MeasuredStream], plan: Plan) -> None:
    found = {stream.playlist_uri: stream for stream in video}
    for rung in plan.renditions:
        stream = found.get(f"{rung.name}.m3u8")
        if stream is None:
            raise OutputInvalid(f"{MASTER_URI}: planned rendition {rung.name} is not in it")
        if (stream.track.width_px, stream.track.height_px) != (rung.width_px, rung.height_px):
            raise OutputInvalid(f"rendition {rung.name}: {stream.track.width_px}×{stream.track.height_px} pixels found")
    first = video[0]
    for stream in video:
        _check_picture_grid(stream, plan)
        if (stream.samples, stream.end_s) != (first.samples, first.end_s):
            raise OutputInvalid(
                f"{stream.playlist_uri} has {stream.samples} pictures in {float(stream.end_s):.3f} s, "
                f"{first.playlist_uri} has {first.samples} in {float(first.end_s):.3f} s"
            )


def _check_picture_grid(stream: MeasuredStream, plan: Plan) -> None:
    """Begins at 0, lasts what its pictures last, and is cut where the plan says."""
    if stream.start_s != 0:
        raise OutputInvalid(
            f"{stream.playlist_uri}: its first picture shows at {float(stream.start_s):.6f} s, not at 0"
        )
    if stream.end_s != stream.samples / plan.picture.frame_rate:
        raise OutputInvalid(f"{stream.playlist_uri}: {stream.samples} pictures last {float(stream.end_s):.6f} s")
    for segment in stream.segments[:-1]:
        if segment.samples != plan.segment_frames:
            raise OutputInvalid(
                f"{segment.file.uri}: {plan.segment_frames} pictures planned for a segment, {segment.samples} found"
            )


def _check_manifest(manifest: Manifest, measured: Sequence[MeasuredStream]) -> None:
    described = {stream.playlist_uri: stream for stream in manifest.streams}
    if described.keys() != {stream.playlist_uri for stream in measured}:
        raise OutputInvalid(f"{MANIFEST_URI} and {MASTER_URI} name different renditions")
    for stream in measured:
        said = described[stream.playlist_uri]
        _same(
            f"{MANIFEST_URI}, {said.name}", (said.codec, said.timescale), (stream.track.codec, stream.track.timescale)
        )
        _same(MANIFEST_URI, _described_files(said), _files(stream))
        times = [(part.start, part.duration, part.samples) for part in said.segments]
        _same(MANIFEST_URI, times, [(part.start, part.duration, part.samples) for part in stream.segments])


def _described_files(stream: Stream) -> list[PublishedFile]:
    files: list[PublishedFile] = [stream.init, *stream.segments]
    return [PublishedFile(file.uri, file.size_bytes, file.sha256) for file in files]


def _files(stream: MeasuredStream) -> list[PublishedFile]:
    return [stream.init, *(part.file for part in stream.segments)]


def _same(where: str, said: object, found: object) -> None:
    """OutputInvalid with the first difference, when what a description says is not what was found."""
    if said == found:
        return
    if isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        said, found = next(pair for pair in zip(said, found, strict=True) if pair[0] != pair[1])
    raise OutputInvalid(f"{where}: it says {said}, the files say {found}")


def _check_mpd(directory: Path, manifest: Manifest, *, measured: Sequence[MeasuredStream]) -> None:
    described = read_mpd(directory / manifest.mpd_uri)
    if len(described) != len(measured):
        raise OutputInvalid(f"{manifest.mpd_uri}: {len(measured)} renditions expected, {len(described)} found")
    for stream in measured:
        name = stream.playlist_uri.removesuffix(".m3u8")
        said = described.get(name)
        if said is None:
            raise OutputInvalid(f"{manifest.mpd_uri}: rendition {name} is not in it")
        where = f"{manifest.mpd_uri}, {name}"
        _same(where, (said.codec, said.timescale), (stream.track.codec, stream.track.timescale))
        _same(where, said.init_uri, stream.init.uri)
        _same(where, list(said.segments), [(part.file.uri, part.start, part.duration) for part in stream.segments])


def _check_strays(directory: Path, measured: Sequence[MeasuredStream]) -> None:
    """A segment that no playlist names was left by something else, and would be published with the rest."""
    named = {file.uri for stream in measured for file in _files(stream)}
    strays = sorted(path.name for path in directory.glob("*.m4s") if path.name not in named)
    if strays:
        raise OutputInvalid(f"{strays[0]}: is named in no playlist ({len(strays)} such files)")


def _tolerance(expected_s: Fraction) -> Fraction:
    """Half a second, or one per cent of what is long; of a very short clip half must be there."""
    return min(max(_TOLERANCE_S, expected_s * _TOLERANCE_SHARE), expected_s / 2)


def _judge_picture(stream: MeasuredStream, plan: Plan) -> list[Remark]:
    missing_s = plan.duration - stream.end_s
    if abs(missing_s) < _tolerance(plan.duration) or stream.samples == plan.output_frames:
        return []
    found = (
        f"{stream.samples} of {plan.output_frames} pictures ({float(stream.end_s):.1f} of {float(plan.duration):.1f} s)"
    )
    if missing_s > 0:
        return [Remark("partial", f"The source is damaged or ends early: only {found} could be used.")]
    return [Remark("longer_than_planned", f"The source holds more than its index says: {found}.")]


def _judge_sound(audio: Sequence[MeasuredStream], plan: Plan, *, picture_s: Fraction) -> list[Remark]:
    found = {stream.playlist_uri: stream for stream in audio}
    remarks: list[Remark] = []
    for wanted in plan.audio:
        stream = found.get(f"{wanted.name}.m3u8")
        if stream is None:
            remarks.append(Remark("audio_missing", f"Sound track {wanted.name} ({wanted.language}) held nothing."))
            continue
        if stream.start_s > _AUDIO_START_S:
            remarks.append(Remark("audio_late", f"{wanted.name} starts {float(stream.start_s):.1f} s in."))
        if abs(stream.end_s - picture_s) > _tolerance(picture_s):
            code = "audio_shorter" if stream.end_s < picture_s else "audio_longer"
            detail = f"{wanted.name} ends at {float(stream.end_s):.1f} s, the picture at {float(picture_s):.1f} s."
            remarks.append(Remark(code, detail))
    return remarks
