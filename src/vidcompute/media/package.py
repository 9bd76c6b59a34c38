"""Packaging: encoder output in, HLS and DASH over one set of CMAF segments out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from vidcompute.domain.plan import AudioPlan, Plan, RenditionPlan
from vidcompute.errors import OutputInvalid
from vidcompute.media import dash, hls, labels
from vidcompute.media.cutting import Cut, cut_audio, cut_video
from vidcompute.media.manifest import (
    MANIFEST_URI,
    MASTER_URI,
    MPD_URI,
    VERSION,
    AudioRendition,
    Manifest,
    Rendition,
    average_bps,
    peak_bps,
    target_duration_s,
    to_json,
)

_File = TypeVar("_File")


@dataclass(frozen=True, slots=True)
class PackageInputs:
    """Encoder output by rendition name: for each rung its chunk files in order, for each sound track one file."""

    plan: Plan
    video: Mapping[str, Sequence[Path]]
    audio: Mapping[str, Path]


def package(inputs: PackageInputs, out: Path) -> Manifest:
    """Writes segments, playlists and `manifest.json` into the folder `out` and returns what was measured.

    Memory does not grow with the media. A sound track that holds nothing is left out; the verifier says so.
    OutputInvalid names the rendition and chunk whose files are not what the plan says; what was written by then is
    no result, and the caller drops the folder.
    """
    plan = inputs.plan
    out.mkdir(parents=True, exist_ok=True)
    rungs = [(rung, cut_video(plan, rung, chunks=_given(inputs.video, rung), out=out)) for rung in plan.renditions]
    _check_equal_lengths(rungs)
    count = len(rungs[0][1].segments)
    sounds = [
        (audio, cut)
        for audio in plan.audio
        if (cut := cut_audio(plan, audio, source=_given(inputs.audio, audio), video_segments=count, out=out))
    ]
    manifest = _measure(plan, rungs=rungs, sounds=sounds)
    write_playlists(manifest, out)
    return manifest


def write_playlists(manifest: Manifest, out: Path) -> None:
    """Writes the HLS and DASH playlists and `manifest.json`, with names as the manifest has them."""
    for stream in manifest.streams:
        text = hls.media_playlist(stream, target_duration_s=manifest.target_duration_s)
        (out / stream.playlist_uri).write_text(text, encoding="utf-8", newline="\n")
    (out / manifest.master_uri).write_text(hls.master_playlist(manifest), encoding="utf-8", newline="\n")
    (out / manifest.mpd_uri).write_bytes(dash.media_presentation(manifest))
    (out / MANIFEST_URI).write_bytes(to_json(manifest))


def _given(files: Mapping[str, _File], stream: RenditionPlan | AudioPlan) -> _File:
    found = files.get(stream.name)
    if found is None:
        raise OutputInvalid(f"no encoder output was given for rendition {stream.name}")
    return found


def _check_equal_lengths(rungs: Sequence[tuple[RenditionPlan, Cut]]) -> None:
    """One decode feeds all rungs, so a rung with fewer pictures is a fault and not a property of the source."""
    first, reference = rungs[0]
    for rung, cut in rungs[1:]:
        if cut.samples != reference.samples:
            raise OutputInvalid(
                f"rendition {rung.name} has {cut.samples} pictures, rendition {first.name} has {reference.samples}"
            )


def _measure(
    plan: Plan, *, rungs: Sequence[tuple[RenditionPlan, Cut]], sounds: Sequence[tuple[AudioPlan, Cut]]
) -> Manifest:
    target_s = target_duration_s([(cut.track.timescale, cut.segments) for _, cut in [*rungs, *sounds]])
    frames = rungs[0][1].samples
    return Manifest(
        version=VERSION,
        duration=frames / plan.picture.frame_rate,
        frames=frames,
        frame_rate=plan.picture.frame_rate,
        segment_frames=plan.segment_frames,
        target_duration_s=target_s,
        master_uri=MASTER_URI,
        mpd_uri=MPD_URI,
        renditions=tuple(_rendition(plan, rung, cut=cut, target_s=target_s) for rung, cut in rungs),
        audio=_audio(sounds, target_s=target_s),
    )


def _rendition(plan: Plan, rung: RenditionPlan, *, cut: Cut, target_s: int) -> Rendition:
    return Rendition(
        **_stream(cut, rung.name, target_s=target_s),
        width_px=cut.track.width_px,
        height_px=cut.track.height_px,
        frame_rate=plan.picture.frame_rate,
        frames=cut.samples,
        transfer=cut.track.transfer,
    )


def _audio(sounds: Sequence[tuple[AudioPlan, Cut]], *, target_s: int) -> tuple[AudioRendition, ...]:
    """The sound tracks with names that players can show, exactly one of them the default."""
    languages = [labels.language_tag(audio.language) for audio, _ in sounds]
    names = labels.distinct(
        labels.label(audio.title, otherwise=language if language != "und" else "Audio")
        for (audio, _), language in zip(sounds, languages, strict=True)
    )
    default = next((index for index, (audio, _) in enumerate(sounds) if audio.default), 0)
    return tuple(
        AudioRendition(
            **_stream(cut, audio.name, target_s=target_s),
            language=languages[index],
            label=names[index],
            default=index == default,
            channels=cut.track.channels,
            sample_rate_hz=cut.track.sample_rate_hz,
        )
        for index, (audio, cut) in enumerate(sounds)
    )


def _stream(cut: Cut, name: str, *, target_s: int) -> dict[str, Any]:
    """What manifest.Stream says, measured on the segments."""
    timescale, segments = cut.track.timescale, cut.segments
    return {
        "name": name,
        "codec": cut.track.codec,
        "timescale": timescale,
        "duration": Fraction(sum(part.duration for part in segments), timescale),
        "size_bytes": sum(part.size_bytes for part in segments),
        "bitrate_bps": average_bps(segments, timescale),
        "peak_bitrate_bps": peak_bps(segments, timescale, target_s=target_s),
        "playlist_uri": f"{name}.m3u8",
        "init": cut.init,
        "segments": segments,
    }
