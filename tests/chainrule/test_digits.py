"""The demo's handwritten digits."""

from chainrule.digits import LABEL, Digit, as_csv, draw, load
from harness.backends import skip_or_fail


def a_digit(label: str = "3") -> Digit:
    return Digit({f"pixel_{index}": float(index % 17) for index in range(64)}, label)


def test_image_has_eight_lines_of_eight_pixels() -> None:
    lines = a_digit().lines()
    assert [len(line) for line in lines] == [16] * 8
    assert lines[0].startswith("    ")
    assert lines[2].startswith("██")


def test_draw_shows_images_side_by_side_above_their_labels() -> None:
    *lines, labels = draw([a_digit(), a_digit()], ["3", "8"]).splitlines()
    assert len(lines) == 8
    assert all(len(line) == 34 for line in lines)
    assert labels.split() == ["→", "3", "→", "8"]


def test_csv_has_a_header_and_a_line_for_each_digit() -> None:
    header, line, end = as_csv([a_digit()]).split("\n")
    assert header.split(",")[-1] == LABEL
    assert line.split(",")[-1] == "3"
    assert end == ""


def test_load_holds_out_a_fifth_of_the_digits() -> None:
    found = load()
    if found is None:
        skip_or_fail("sklearn", "it cannot be imported")
    train, test = found
    assert len(train) + len(test) == 1797
    assert len(test) == 359
