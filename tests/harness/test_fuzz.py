"""Tests of harness/fuzz: every parser of client bytes reads or refuses any input, without another error."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.fuzz.parsers import PARSERS, seeds

REGRESSIONS: dict[str, list[bytes]] = {}
"""Inputs on which a parser once failed."""


@st.composite
def mutations(draw: Any, seed: bytes) -> bytes:
    """Draw the seed with up to four parts removed, doubled or replaced."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 16)))
        data[start:end] = draw(st.one_of(st.binary(max_size=16), st.just(data[start:end] * 2), st.just(b"")))
    return bytes(data)


@pytest.mark.parametrize("name", PARSERS)
def test_seeds_and_regressions_do_not_fail(name: str) -> None:
    for data in [*seeds(name), *REGRESSIONS.get(name, []), b"", b"\0", b"\xff" * 100]:
        PARSERS[name](data)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=40)
@given(data=st.data())
def test_mutated_seeds_do_not_fail(name: str, data: st.DataObject) -> None:
    PARSERS[name](data.draw(mutations(data.draw(st.sampled_from(seeds(name))))))
