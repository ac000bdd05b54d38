"""A fitted encoder of each type, with values of a column as JSON and as a reader loads them."""

from base64 import b64encode
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.characters import Characters, CharactersOptions
from core.data.encoders.encoder import ColumnEncoder, ColumnEncoderOptions
from core.data.encoders.image import Image, ImageOptions
from core.data.encoders.log_mel import LogMelOptions
from core.data.encoders.mfcc import MfccOptions
from core.data.encoders.one_hot import OneHot, OneHotOptions
from core.data.encoders.standard import Standardize, StandardOptions
from core.data.encoders.subwords import Subwords, SubwordsOptions
from core.data.encoders.waveform import Waveform, WaveformOptions
from core.data.encoders.words import Words, WordsOptions
from core.data.files.values import HeldFile, column_of
from core.data.schema import Column
from tests.core.data.files.media import grey, recording, tone


class Case(NamedTuple):
    """One encoder: its options, its column, its values, and their encoding."""

    options: ColumnEncoderOptions
    encoder: ColumnEncoder
    column: Column
    raw: list[Any]
    """Values of records, one for each row."""
    loaded: NDArray[Any]
    """The same as a reader loads them (rows,)."""
    encoded: list[Any]
    """The same as rows of x (rows, *shape)."""
    refused: list[Any]
    """Values of records that `parse` refuses."""


def standardize(**changes: Any) -> Standardize:
    return Standardize(**{"column": "age", "mean": 2.0, "std": 4.0, "imputed": 2.0, "marked": False, **changes})


def one_hot(**changes: Any) -> OneHot:
    return OneHot(**{"column": "city", "categories": ("3", "Oslo", "True"), "unseen": (), "marked": False, **changes})


def subwords(**changes: Any) -> Subwords:
    return SubwordsOptions(vocabulary=12, length=3).fit(REVIEW, WORDS_SEEN, scaled=True)


REVIEW = Column(name="review", type="text", rows=4)
WORDS_SEEN = np.array(["ab ab", "ab"], object)


def image(**changes: Any) -> Image:
    fields = {"column": "file", "size": (1, 2), "color": "grey", "resize": "stretch", "background": 255}
    return Image(**{**fields, "mean": (0.0,), "std": (255.0,), **changes})


def in_base64(content: bytes) -> str:
    return b64encode(content).decode()


PICTURES = Column(name="file", type="image", rows=3, shape=(1, 2, 1))
RECORDINGS = Column(name="file", type="audio", rows=2, max=0.1)
SOUND = [recording(tone(hertz, seconds), subtype="FLOAT") for hertz, seconds in ((440, 0.1), (1000, 0.05))]
SOUND_FILES = column_of([HeldFile(f"{i}.wav", content) for i, content in enumerate(SOUND)])


def of_sound(options: Any) -> Case:
    encoder = options.fit(RECORDINGS, SOUND_FILES, scaled=True)
    x = np.zeros((2, *encoder.shape), np.float32)
    encoder.transform(SOUND_FILES, x)
    raw = list(map(in_base64, SOUND))
    return Case(options, encoder, RECORDINGS, raw, SOUND_FILES, x.tolist(), [1, None, {"a": 1}, "no", "AAAA"])


AGE = Column(name="age", type="number", rows=6)
CITY = Column(name="city", type="category", rows=6, classes=(("3", 1), ("Oslo", 2), ("True", 1)))

CASES: dict[str, Case] = {
    "standardize": Case(
        StandardOptions(),
        standardize(),
        AGE,
        [6, "-2", 2.0, None, " NA ", 1e38],
        np.array([6.0, -2.0, 2.0, np.nan, np.nan, 1e38]),
        [[1], [-1], [0], [0], [0], [2.5e37]],
        ["old", True, [1], {"a": 1}, 10**400, "inf"],
    ),
    "standardize, marked": Case(
        StandardOptions(),
        standardize(marked=True),
        Column(name="age", type="number", rows=6, missing=1),
        [6, None, "?"],
        np.array([6.0, np.nan, np.nan]),
        [[1, 0], [0, 1], [0, 1]],
        ["old", True, [1], {"a": 1}],
    ),
    "one_hot": Case(
        OneHotOptions(),
        one_hot(),
        CITY,
        ["Oslo", 3, 3.0, True, None],
        np.array([1, 0, 0, 2, -1], np.int32),
        [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]],
        [[1], {"a": 1}],
    ),
    "one_hot, marked": Case(
        OneHotOptions(),
        one_hot(marked=True, unseen=("3",)),
        Column(name="city", type="category", rows=6, missing=1, classes=CITY.classes),
        [" Oslo ", "3", ""],
        np.array([1, 0, -1], np.int32),
        [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]],
        [["Oslo"]],
    ),
    "characters": Case(
        CharactersOptions(length=3, vocabulary=4),
        Characters(column="review", length=3, lower=False, vocabulary=("a", "B")),
        REVIEW,
        ["aB", "Babe", "z b", None],
        np.array(["aB", "Babe", "z b", None], object),
        [[2, 3, 0], [3, 2, 1], [1, 1, 1], [0, 0, 0]],
        [1, True, ["a"], {"a": 1}],
    ),
    "words": Case(
        WordsOptions(length=3, vocabulary=4),
        Words(column="review", length=3, lower=True, vocabulary=("good", "!")),
        REVIEW,
        ["Good!", "not  good", "! a good good", ""],
        np.array(["Good!", "not  good", "! a good good", None], object),
        [[2, 3, 0], [1, 2, 0], [3, 1, 2], [0, 0, 0]],
        [1, True, ["a"], {"a": 1}],
    ),
    "subwords": Case(
        SubwordsOptions(length=3, vocabulary=12),
        subwords(),
        REVIEW,
        ["ab", "ab ab ab ab", None],
        np.array(["ab", "ab ab ab ab", None], object),
        [[3, 0, 0], [3, 3, 3], [0, 0, 0]],
        [1, True, ["a"], {"a": 1}],
    ),
    "image": Case(
        ImageOptions(),
        image(),
        PICTURES,
        [in_base64(grey(255, 1, 2)), {"b64": in_base64(grey(51, 1, 1))}],
        column_of([HeldFile("a.png", grey(255, 1, 2)), HeldFile("b.png", grey(51, 1, 1))]),
        [[[[1], [1]]], [[[0.2], [0.2]]]],
        [1, True, None, ["a"], {"a": 1}, "not a picture", in_base64(b"not a picture")],
    ),
    "image, in colour": Case(
        ImageOptions(size=(1, 1), color="rgb", normalize="signed"),
        image(size=(1, 1), color="rgb", mean=(127.5,) * 3, std=(127.5,) * 3),
        PICTURES,
        [in_base64(grey(255)), in_base64(grey(0))],
        column_of([HeldFile("a.png", grey(255)), HeldFile("b.png", grey(0))]),
        [[[[1, 1, 1]]], [[[-1, -1, -1]]]],
        [[], "AAAA"],
    ),
    "waveform": Case(
        WaveformOptions(rate=1000, seconds=0.004, normalize="peak"),
        Waveform(column="file", rate=1000, samples=4, align="start", peak=True),
        RECORDINGS,
        [in_base64(recording([0.25, -0.5], 1000, subtype="FLOAT")), in_base64(recording([0.0] * 9, 1000))],
        column_of(
            [
                HeldFile("a.wav", recording([0.25, -0.5], 1000, subtype="FLOAT")),
                HeldFile("b.wav", recording([0.0] * 9, 1000)),
            ]
        ),
        [[[0.5], [-1], [0], [0]], [[0], [0], [0], [0]]],
        [1, None, {"a": 1}, "no recording", "AAAA"],
    ),
    "log_mel": of_sound(LogMelOptions(rate=8000, bands=10)),
    "mfcc": of_sound(MfccOptions(rate=8000, bands=10, coefficients=4, normalize="recording")),
}
