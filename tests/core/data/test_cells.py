"""The rules for one cell."""

import pytest

from core.data.cells import FLOAT32_MAX, MISSING, absent, fits, number, shown, spellings


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), ("-2.5e3", -2500.0), (".5", 0.5), ("1e999", float("inf")), ("-inf", -float("inf"))],
)
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "a", "1_000", "٣", "1,5", "0x10", "nan", "--1", "1 2"])
def test_no_numbers(text: str) -> None:
    assert number(text) is None


def test_what_says_that_a_value_is_missing() -> None:
    assert all(absent(f" {text} ") for text in MISSING)
    assert absent(None)
    assert absent(float("nan"))
    assert not any(map(absent, [0, "0", False, "none of it"]))


def test_float32_has_bounds() -> None:
    assert fits(FLOAT32_MAX)
    assert not fits(3.5e38)
    assert not fits(float("nan"))
    assert not fits(10**400)


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (3, "3.0"), (3.0, "3"), (2.5, "2.5"), (True, "true"), (True, "True"), (" a ", "a")]
)
def test_a_value_may_be_spelt_in_several_ways(value: object, text: str) -> None:
    assert text in spellings(value)


def test_a_long_text_is_cut_in_messages() -> None:
    assert shown("a" * 1000) == '"' + "a" * 40 + '…"'
