"""Tests of core/warnings.py."""

from core.warnings import MAX_MESSAGE, MAX_WARNINGS, WarningMessage, bounded


def test_warnings_are_bounded_in_number_and_length() -> None:
    many = [WarningMessage("code", f"/{number}", "m" * 2 * MAX_MESSAGE) for number in range(2 * MAX_WARNINGS)]
    found = bounded(many)
    assert [warning.pointer for warning in found] == [f"/{number}" for number in range(MAX_WARNINGS)]
    assert {len(warning.message) for warning in found} == {MAX_MESSAGE}


def test_first_of_every_code_stays_where_there_are_too_many() -> None:
    many = [WarningMessage("column_left_out", f"/{number}", "m") for number in range(30)]
    last = [WarningMessage("loss_grew", "/optimizer", "m"), WarningMessage("constant_column", "/data", "m")]
    assert bounded([*many, *last]) == [*many[: MAX_WARNINGS - 2], *last]
    assert bounded([*bounded(many), *last]) == [*many[: MAX_WARNINGS - 2], *last]


def test_equal_warnings_are_given_once() -> None:
    one, other = WarningMessage("a", "/x", "m"), WarningMessage("a", "/y", "m")
    assert bounded([one, other, one]) == [one, other]
