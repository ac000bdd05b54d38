"""Scikit-learn's handwritten digits as a table, and as pictures in a terminal."""

from dataclasses import dataclass
from random import Random

LABEL = "digit"
HELD_BACK = 0.2
SHADES = " ░▒▓█"
SIDE = 8
DARKEST = 16


@dataclass(frozen=True)
class Digit:
    """One picture: 64 shades from 0 to 16 by the names of their columns, and what it shows."""

    pixels: dict[str, float]
    label: str

    def lines(self) -> list[str]:
        """The picture, a line of text for each of its rows, two characters a point."""
        shades = [SHADES[round(value * (len(SHADES) - 1) / DARKEST)] * 2 for value in self.pixels.values()]
        return ["".join(shades[start : start + SIDE]) for start in range(0, len(shades), SIDE)]


def load() -> tuple[list[Digit], list[Digit]] | None:
    """Digits to learn from and digits to hold back, or None where scikit-learn is missing."""
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - it is not there at run time, only in development
    except ImportError:
        return None
    found = load_digits()
    every = [
        Digit({f"pixel_{place}": value for place, value in enumerate(row)}, str(label))
        for row, label in zip(found.data.tolist(), found.target.tolist(), strict=True)
    ]
    Random(7).shuffle(every)  # noqa: S311 - which digits are held back is no secret
    cut = round(HELD_BACK * len(every))
    return every[cut:], every[:cut]


def as_csv(digits: list[Digit]) -> str:
    """A header and a line for each digit."""
    header = [*digits[0].pixels, LABEL]
    rows = [[*(f"{value:g}" for value in digit.pixels.values()), digit.label] for digit in digits]
    return "".join(",".join(row) + "\n" for row in [header, *rows])


def drawn(digits: list[Digit], labels: list[str]) -> str:
    """Pictures side by side, and under each what it was read as."""
    pictures = zip(*(digit.lines() for digit in digits), strict=True)
    read = "  ".join(f"→ {label}".center(2 * SIDE) for label in labels)
    return "\n".join(["  ".join(line) for line in pictures] + [read])
