from fractions import Fraction

import pytest
from pydantic import ValidationError

from tests.unit.media.published import manifest, segments, sound
from vidcompute.media.manifest import average_bps, from_json, nearest, peak_bps, target_duration_s, to_json


def test_a_manifest_survives_the_way_through_json():
    described = manifest(audio=[sound()])

    assert from_json(to_json(described)) == described


def test_another_document_is_no_manifest():
    with pytest.raises(ValidationError):
        from_json(b'{"version": 1}')


def test_sizes_count_media_and_initialization():
    assert manifest(audio=[sound()]).size_bytes == 2 * (3000 + 700)


@pytest.mark.parametrize(
    ("durations", "target_s"), [([6006, 6006, 500], 6), ([6499], 6), ([6500], 7), ([33], 1), ([400, 100], 1)]
)
def test_every_segment_rounds_to_at_most_the_target(durations: list[int], target_s: int):
    assert target_duration_s([(1000, segments("v0", durations))]) == target_s


def test_all_streams_share_one_target():
    assert target_duration_s([(1000, segments("v0", [6006])), (48000, segments("a0", [312001]))]) == 7


def test_halves_round_up():
    assert [nearest(Fraction(5, 2)), nearest(Fraction(7, 2)), nearest(Fraction(49, 20))] == [3, 4, 2]


@pytest.mark.parametrize(
    ("durations", "sizes", "peak"),
    [
        ([6, 6, 6], [6000, 9000, 6000], 12_000),
        # A short last segment alone is no peak; with the one before it, it is.
        ([6, 6, 1], [6000, 6000, 9000], 17_143),
        # Of three short ones, the two that make up half a target together.
        ([2, 2, 2], [1000, 2000, 3000], 10_000),
        # Nothing lasts long enough: the average is all there is.
        ([1], [1000], 8_000),
        # The windows that count are all below the average of the whole.
        ([6, 1, 6], [6000, 60000, 6000], 75_429),
    ],
)
def test_the_peak_is_taken_over_half_to_one_and_a_half_targets(durations: list[int], sizes: list[int], peak: int):
    parts = segments("v0", durations, sizes)

    assert peak_bps(parts, 1, target_s=6) == peak
    assert peak >= average_bps(parts, 1)
