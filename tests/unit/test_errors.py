"""Errors survive the way through a process boundary as what they were."""

import pytest

from vidcompute import errors


def leaves(kind: type[errors.VidcomputeError]) -> list[type[errors.VidcomputeError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]


TREE = [kind for kind in leaves(errors.VidcomputeError) if kind.__module__ == "vidcompute.errors"]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_becomes_a_problem_and_the_same_error_again(kind: type[errors.VidcomputeError]):
    original = kind("what is wrong and where", hint="what to do")

    back = errors.from_problem(original.problem())

    assert type(back) is kind
    assert (back.detail, back.hint) == ("what is wrong and where", "what to do")


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_drawn_tree_with_its_own_title(kind: type[errors.VidcomputeError]):
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.title


def test_codes_are_unique():
    codes = [kind.code for kind in TREE]

    assert len(set(codes)) == len(codes)


def test_an_unknown_code_is_a_failed_task():
    problem = errors.Problem("from_the_future", "t", "d", "h", retryable=True)

    assert type(errors.from_problem(problem)) is errors.TaskFailed
