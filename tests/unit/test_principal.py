"""Out of several errors the deciding one is picked."""

import asyncio

import pytest

from vidcompute.errors import Canceled, EncoderFailed, LeaseLost, NoVideo, StoreDown, principal

LOST, CANCELED, BUG = LeaseLost("l"), Canceled("c"), KeyError("k")
FINAL, TRANSIENT, ENDED = NoVideo("n"), StoreDown("s"), asyncio.CancelledError()


@pytest.mark.parametrize(
    ("errors", "decides"),
    [
        ([TRANSIENT, FINAL], FINAL),
        ([FINAL, BUG], BUG),
        ([BUG, LOST, FINAL], LOST),
        ([ENDED, TRANSIENT], TRANSIENT),
        ([CANCELED, EncoderFailed("e")], CANCELED),
    ],
)
def test_the_deciding_error_wins_in_a_nested_group(errors: list[BaseException], decides: BaseException):
    nested = BaseExceptionGroup("outer", [BaseExceptionGroup("inner", errors[1:]), errors[0]])

    assert principal(nested) is decides


def test_an_error_alone_is_itself():
    assert principal(FINAL) is FINAL
