"""A fitted encoder of each type, with values of a column as JSON and as a reader loads them."""

from base64 import b64encode
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.boolean import Boolean, BooleanOptions
from core.data.encoders.characters import Characters, CharactersOptions
from core.data.encoders.datetime import Datetime, DatetimeOptions
from core.data.encoders.embedding import Embedding, EmbeddingOptions
from core.data.encoders.encoder import ColumnEncoder, ColumnEncoderOptions
from core.data.encoders.hashing import Hashing, HashingOptions
from core.data.encoders.image import Image, ImageOptions
from core.data.encoders.log import Log, LogOptions
from core.data.encoders.log_mel import LogMelOptions
from core.data.encoders.mfcc import MfccOptions
from core.data.encoders.min_max import MinMax, MinMaxOptions
from core.data.encoders.none import NoneOptions, Unscaled
from core.data.encoders.one_hot import OneHot, OneHotOptions
from core.data.encoders.quantile import Quantile, QuantileOptions
from core.data.encoders.robust import Robust, RobustOptions
from core.data.encoders.standard import Standardize, StandardOptions
from core.data.encoders.subwords import Subwords, SubwordsOptions
from core.data.encoders.tags import Tags, TagsOptions
from core.data.encoders.vector import Vector, VectorOptions
from core.data.encoders.waveform import Waveform, WaveformOptions
from core.data.encoders.words import Words, WordsOptions
from core.data.files.values import HeldFile, column_of
from core.data.schema import Column
from tests.core.data.files.media import grey, recording, tone

NO_NUMBERS = ["old", True, [1], {"a": 1}]


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

AGE_MISSING = Column(name="age", type="number", rows=3, missing=1)
OF_AGE: Any = {"column": "age", "marked": False}
NOTE = Column(name="note", type="text", rows=3)
DAY = Column(name="day", type="datetime", rows=3, missing=1)


def dates(**changes: Any) -> Datetime:
    fields = {"parts": ("age", "weekday"), "cyclic": False, "format": None, "day_first": None}
    return Datetime(**{"column": "day", **fields, "mean": 1.0, "std": 2.0, "marked": True, **changes})


CASES: dict[str, Case] = {
    "min_max": Case(
        MinMaxOptions(low=-1),
        MinMax(**OF_AGE, min=2.0, max=6.0, low=-1.0, high=1.0, imputed=3.0),
        AGE,
        [2, "6", 10.0, None],
        np.array([2.0, 6.0, 10.0, np.nan]),
        [[-1], [1], [3], [-0.5]],
        NO_NUMBERS,
    ),
    "min_max, equal values and a mark": Case(
        MinMaxOptions(),
        MinMax(column="age", min=2.0, max=2.0, low=0.0, high=1.0, imputed=2.0, marked=True),
        AGE_MISSING,
        [2, 3, None],
        np.array([2.0, 3.0, np.nan]),
        [[0, 0], [1, 0], [0, 1]],
        NO_NUMBERS,
    ),
    "robust": Case(
        RobustOptions(),
        Robust(**OF_AGE, median=3.0, spread=4.0, imputed=3.0),
        AGE,
        [3, 7, "-1", None],
        np.array([3.0, 7.0, -1.0, np.nan]),
        [[0], [1], [-1], [0]],
        NO_NUMBERS,
    ),
    "quantile": Case(
        QuantileOptions(output="uniform", quantiles=3),
        Quantile(**OF_AGE, knots=(1.0, 2.0, 6.0), encoded=(0.0, 0.5, 1.0), imputed=2.0),
        AGE,
        [0, 1.5, 4, 9, None],
        np.array([0.0, 1.5, 4.0, 9.0, np.nan]),
        [[0], [0.25], [0.75], [1], [0.5]],
        NO_NUMBERS,
    ),
    "log": Case(
        LogOptions(),
        Log(**OF_AGE, mean=0.0, std=float(np.log(10)), imputed=0.0),
        AGE,
        [0, 9, "-99", None],
        np.array([0.0, 9.0, -99.0, np.nan]),
        [[0], [1], [-2], [0]],
        NO_NUMBERS,
    ),
    "none": Case(
        NoneOptions(),
        Unscaled(column="age", imputed=5.0, marked=True),
        AGE_MISSING,
        [2, "3.5", None],
        np.array([2.0, 3.5, np.nan]),
        [[2, 0], [3.5, 0], [5, 1]],
        NO_NUMBERS,
    ),
    "one_hot, with others": Case(
        OneHotOptions(max_categories=1, other=True),
        one_hot(rare=("3", "True"), unseen=("True",), other=True, marked=True),
        Column(name="city", type="category", rows=6, missing=1, classes=CITY.classes),
        ["Oslo", "3", True, "Bergen", None],
        np.array([1, 0, 2, -2, -1], np.int32),
        [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]],
        [["Oslo"]],
    ),
    "hashing": Case(
        HashingOptions(buckets=4),
        Hashing(column="note", buckets=4),
        NOTE,
        ["b", 3, None],
        np.array(["b", "3", None], object),
        [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]],
        [["b"], {"a": 1}],
    ),
    "embedding": Case(
        EmbeddingOptions(vocabulary=4),
        Embedding(column="note", vocabulary=("b", "3")),
        NOTE,
        ["b", 3.0, "c", None],
        np.array(["b", "3", "c", None], object),
        [[2], [3], [1], [0]],
        [["b"], {"a": 1}],
    ),
    "boolean": Case(
        BooleanOptions(),
        Boolean(column="note", true=None, marked=True),
        Column(name="note", type="category", rows=6, missing=1),
        ["Yes", True, "no", 0, None],
        np.array(["Yes", "true", "no", "0", None], object),
        [[1, 0], [1, 0], [0, 0], [0, 0], [0, 1]],
        [["b"], {"a": 1}],
    ),
    "boolean, of a word": Case(
        BooleanOptions(true="Paid"),
        Boolean(column="note", true="Paid", marked=False),
        NOTE,
        ["paid", "yes", False, None],
        np.array(["paid", "yes", "false", None], object),
        [[1], [0], [0], [0]],
        [["b"], {"a": 1}],
    ),
    "tags": Case(
        TagsOptions(separator=";", vocabulary=3),
        Tags(column="note", separator=";", tags=("red", "round"), width=3),
        NOTE,
        ["round; red", ["red", "new"], None],
        np.array(["round; red", "red;new", None], object),
        [[1, 1, 0], [1, 0, 0], [0, 0, 0]],
        [3, True, [1], {"a": 1}],
    ),
    "vector": Case(
        VectorOptions(length=2),
        Vector(column="note", length=2),
        NOTE,
        ["[0.5, -2]", [1, 2.5], "3;4", None],
        np.array(["[0.5, -2]", "1 2.5", "3;4", None], object),
        [[0.5, -2], [1, 2.5], [3, 4], [0, 0]],
        [3, True, [True, 1], [1], "1", "1 2 3", "a b", {"a": 1}],
    ),
    "datetime": Case(
        DatetimeOptions(parts=("age", "weekday"), cyclic=False),
        dates(),
        DAY,
        ["1970-01-01", "1970-01-04T12:00:00", None],
        np.array([0.0, 302_400.0, np.nan]),
        [[-0.5, 3 / 7, 0], [1.25, 6 / 7, 0], [0, 0, 1]],
        [3, True, ["1970"], "1970", "1970-13-01", {"a": 1}],
    ),
    "datetime, of texts": Case(
        DatetimeOptions(parts=("month", "hour")),
        dates(parts=("month", "hour"), cyclic=True, marked=False),
        NOTE,
        ["1.4.2024 6:00", "7/1/2024 12:00 pm"],
        np.array(["1.4.2024 6:00", "7/1/2024 12:00 pm"], object),
        [[1, np.cos(np.pi / 2), 1, np.cos(np.pi / 2)], [np.sin(np.pi), -1, np.sin(np.pi), -1]],
        [3, "soon"],
    ),
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
