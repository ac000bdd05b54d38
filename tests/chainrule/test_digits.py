from chainrule.digits import LABEL, Digit, as_csv, drawn, load
from harness.backends import missing


def a_digit(label: str = "3") -> Digit:
    return Digit({f"pixel_{place}": float(place % 17) for place in range(64)}, label)


def test_a_picture_has_eight_lines_of_eight_points() -> None:
    lines = a_digit().lines()
    assert [len(line) for line in lines] == [16] * 8
    assert lines[0].startswith("    ")
    assert lines[2].startswith("██")


def test_pictures_stand_side_by_side_above_their_labels() -> None:
    *lines, labels = drawn([a_digit(), a_digit()], ["3", "8"]).splitlines()
    assert len(lines) == 8
    assert all(len(line) == 34 for line in lines)
    assert labels.split() == ["→", "3", "→", "8"]


def test_a_table_has_a_header_and_a_line_each() -> None:
    header, line, end = as_csv([a_digit()]).split("\n")
    assert header.split(",")[-1] == LABEL
    assert line.split(",")[-1] == "3"
    assert end == ""


def test_some_digits_are_held_back() -> None:
    found = load()
    if found is None:
        missing("sklearn", "it cannot be imported")
    learn, keep = found
    assert len(learn) + len(keep) == 1797
    assert len(keep) == 359
