"""Scikit-learn's handwritten digits as a table, and as images in a terminal."""

from dataclasses import dataclass
from random import Random

LABEL = "digit"
TEST_FRACTION = 0.2
SHADES = " ░▒▓█"
SIDE = 8
"""Pixels per side of an image."""
MAX_VALUE = 16
"""Value of a black pixel."""


@dataclass(frozen=True)
class Digit:
    """One image: 64 pixel values from 0 to 16 by column name, and its label."""

    pixels: dict[str, float]
    label: str

    def lines(self) -> list[str]:
        """Return the image as text: a line for each row, two characters per pixel."""
        shades = [SHADES[round(value * (len(SHADES) - 1) / MAX_VALUE)] * 2 for value in self.pixels.values()]
        return ["".join(shades[start : start + SIDE]) for start in range(0, len(shades), SIDE)]


def load() -> tuple[list[Digit], list[Digit]] | None:
    """Return training and held-out digits, or None if scikit-learn is not installed."""
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - installed only for development
    except ImportError:
        return None
    found = load_digits()
    digits = [
        Digit({f"pixel_{index}": value for index, value in enumerate(row)}, str(label))
        for row, label in zip(found.data.tolist(), found.target.tolist(), strict=True)
    ]
    Random(7).shuffle(digits)  # noqa: S311 - not a secret
    cut = round(TEST_FRACTION * len(digits))
    return digits[cut:], digits[:cut]


def as_csv(digits: list[Digit]) -> str:
    """Return CSV: a header and a line for each digit."""
    header = [*digits[0].pixels, LABEL]
    rows = [[*(f"{value:g}" for value in digit.pixels.values()), digit.label] for digit in digits]
    return "".join(",".join(row) + "\n" for row in [header, *rows])


def draw(digits: list[Digit], labels: list[str]) -> str:
    """Return the images side by side, each above its predicted label."""
    rows = zip(*(digit.lines() for digit in digits), strict=True)
    captions = "  ".join(f"→ {label}".center(2 * SIDE) for label in labels)
    return "\n".join(["  ".join(line) for line in rows] + [captions])
