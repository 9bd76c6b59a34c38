"""Policies as words, and who the box may become."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidcompute import wire
from vidcompute.sandbox.box import Rules
from vidcompute.sandbox.policy import BoxPolicy, SandboxMode, has_capabilities, maps_id, unprivileged_ids

FULL = "Name:\tx\nCapEff:\t000001ffffffffff\n"
DOCKER_DEFAULT = "CapEff:\t00000000a80425fb\n"
NONE = "CapEff:\t0000000000000000\n"
WITHOUT_KILL = "CapEff:\t00000000a80425db\n"

POLICY = BoxPolicy(
    read_only=(Path("/a b"), Path("/c=d")),
    read_write=(Path("/e\n"),),
    cpu_s=7,
    memory_bytes=1 << 40,
    mode=SandboxMode.REQUIRED,
    user=(61080, 61081),
    disabled_layers=("seccomp",),
)


def test_rules_say_what_the_policy_said() -> None:
    rules = Rules(POLICY.words(parent=42))

    assert (rules.read_only, rules.read_write) == (["/a b", "/c=d"], ["/e\n"])
    assert (rules.cpu_s, rules.memory_bytes, rules.open_files) == (7, 1 << 40, 128)
    assert (rules.mode, rules.user, rules.disabled, rules.parent) == ("required", "61080:61081", ["seccomp"], 42)


def test_a_policy_survives_json() -> None:
    assert wire.loads(BoxPolicy, wire.dumps(POLICY)) == POLICY


@pytest.mark.parametrize("word", ["--no-such-rule=1", "--cpu-s=many", "", "--_take=1"])
def test_a_rule_that_is_not_understood_is_not_ignored(word: str) -> None:
    with pytest.raises(ValueError, match=r"unknown rule|invalid literal"):
        Rules([word])


@pytest.mark.parametrize(
    ("status", "able"), [(FULL, True), (DOCKER_DEFAULT, True), (NONE, False), (WITHOUT_KILL, False)]
)
def test_root_without_its_capabilities_becomes_nobody(status: str, able: bool) -> None:
    assert has_capabilities(status) is able


@pytest.mark.parametrize(
    ("id_map", "mapped"),
    [("0 0 4294967295\n", True), ("0 1000 1\n", False), ("0 1000 1\n1 100000 65536\n", True), ("", False)],
)
def test_an_id_outside_of_the_namespace_is_not_chosen(id_map: str, mapped: bool) -> None:
    assert maps_id(id_map, 61_080) is mapped


def test_only_root_becomes_another_user() -> None:
    assert unprivileged_ids() is None or os.getuid() == 0
