"""Tests of core/data/cells.py."""

import pytest

from core.data.cells import (
    FLOAT32_MAX,
    MISSING,
    category_texts,
    fits_float32,
    is_missing,
    parse_number,
    quote,
    quote_names,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), ("-2.5e3", -2500.0), (".5", 0.5), ("1e999", float("inf")), ("-inf", -float("inf"))],
)
def test_parse_number_text_of_a_number_returns_it(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "a", "1_000", "٣", "1,5", "0x10", "nan", "--1", "1 2"])
def test_parse_number_other_text_returns_none(text: str) -> None:
    assert parse_number(text) is None


def test_is_missing_only_for_null_nan_and_missing_texts() -> None:
    assert all(is_missing(f" {text} ") for text in MISSING)
    assert is_missing(None)
    assert is_missing(float("nan"))
    assert not any(map(is_missing, [0, "0", False, "none of it"]))


def test_fits_float32_has_bounds() -> None:
    assert fits_float32(FLOAT32_MAX)
    assert not fits_float32(3.5e38)
    assert not fits_float32(float("nan"))
    assert not fits_float32(10**400)


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (3, "3.0"), (3.0, "3"), (2.5, "2.5"), (True, "true"), (True, "True"), (" a ", "a")]
)
def test_category_texts_include_each_form_of_a_file(value: object, text: str) -> None:
    assert text in category_texts(value)


def test_quote_cuts_long_texts() -> None:
    assert quote("a" * 1000) == '"' + "a" * 40 + '…"'


def test_quote_names_counts_what_it_leaves_out() -> None:
    assert quote_names(["a", "b"]) == '"a", "b"'
    assert quote_names(list("abcdefghijklm")).endswith('"j" and 3 more')
