"""Progress is monotone, bounded, and honest about what it does not know."""

from hypothesis import given
from hypothesis import strategies as st

from vidcompute.coordinator.progress import WEIGHTS, JobProgress
from vidcompute.domain.job import Phase


def test_weights_add_up_to_a_hundred():
    assert sum(WEIGHTS.values()) == 100
    assert set(WEIGHTS) == set(Phase)


@given(
    reports=st.lists(
        st.tuples(
            st.sampled_from(Phase),
            st.one_of(
                st.fixed_dictionaries({"frame": st.integers(0, 400), "fps": st.floats(0, 100)}),
                st.fixed_dictionaries({"done": st.integers(0, 10), "total": st.integers(0, 10)}),
                st.just({}),
            ),
        ),
        max_size=30,
    )
)
def test_percent_never_goes_back_and_never_reaches_a_hundred_by_itself(reports):
    progress = JobProgress(frames=150)
    seen = []
    for phase, data in reports:
        progress.hear(phase, data)
        seen.append(progress.snapshot(10.0)["percent"])

    assert seen == sorted(seen)
    assert all(0 <= percent <= 100 for percent in seen)


def test_the_rest_is_not_guessed_before_there_is_something_to_go_by():
    progress = JobProgress(frames=150)
    progress.hear(Phase.DOWNLOADING, {"done": 1, "total": 100})

    assert progress.snapshot(5.0)["eta_s"] is None


def test_the_rest_is_guessed_from_the_pace_so_far():
    progress = JobProgress(frames=100)
    for phase in (Phase.DOWNLOADING, Phase.PROBING):
        progress.finish(phase)
    progress.hear(Phase.TRANSCODING, {"frame": 50, "fps": 25.0, "speed": 1.0})

    snapshot = progress.snapshot(46.0)

    assert snapshot["frame"] == 50
    assert snapshot["percent"] == 46.0
    assert snapshot["eta_s"] == 54.0


def test_describing_beside_an_encode_does_not_take_the_phase():
    progress = JobProgress(frames=100)
    progress.hear(Phase.TRANSCODING, {"frame": 10})
    progress.hear(Phase.DESCRIBING, {"done": 1, "total": 4})

    assert progress.phase is Phase.TRANSCODING
