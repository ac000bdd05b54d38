"""The profile of a dataset as JSON."""

from pydantic import BaseModel, Field

from api.schemas.warning import JobWarning


class QuantileValue(BaseModel):
    """The number below which a part of the values lies."""

    part: float
    value: float


class Histogram(BaseModel):
    """Counts of numbers between edges; one more edge than counts."""

    edges: list[float]
    counts: list[int]


class RowValue(BaseModel):
    """A row, from 0, and its value."""

    row: int
    value: float


class Outliers(BaseModel):
    """Numbers more than 3 interquartile ranges beyond the quartiles."""

    count: int
    low: float = Field(description="Numbers below it are outliers.")
    high: float = Field(description="Numbers above it are outliers.")
    examples: list[RowValue] = Field(description="The first of them.")


class ValueCount(BaseModel):
    """A value and the number of its rows."""

    value: float | str
    count: int


class Spread(BaseModel):
    """The smallest, the median and the largest of some numbers."""

    min: float
    median: float
    max: float


class Pictures(BaseModel):
    """Sizes of the pictures that were opened."""

    opened: int
    heights: Spread = Field(description="Pixels.")
    widths: Spread = Field(description="Pixels.")
    channels: list[ValueCount] = Field(description="1 for grey pictures, 3 for coloured ones.")


class Recordings(BaseModel):
    """Lengths of the recordings that were opened."""

    opened: int
    seconds: Spread
    rates: list[ValueCount] = Field(description="Samples a second.")
    channels: list[ValueCount]


class Association(BaseModel):
    """How strongly a column and the target are associated."""

    measure: str = Field(description="`pearson`, `correlation_ratio` or `cramers_v`.")
    value: float = Field(description="From 0, none, to 1; of `pearson` from −1.")
    rows: int = Field(description="Rows that have both.")


class Drift(BaseModel):
    """How far the distribution in a part is from that in the training rows."""

    distance: float = Field(description="Kolmogorov-Smirnov of numbers, total variation of classes; from 0 to 1.")
    large: bool = Field(description="Whether it is above 0.1 and above what chance gives.")


class ColumnProfile(BaseModel):
    """What is in one column. Fields that do not apply to its type are null."""

    name: str
    type: str
    rows: int
    missing: int
    distinct: int | None = Field(None, description="Different values; of texts those of the rows looked at.")
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    shape: list[int]
    quantiles: list[QuantileValue] | None = None
    histogram: Histogram | None = None
    outliers: Outliers | None = None
    top: list[ValueCount] | None = Field(None, description="The most frequent values that occur more than once.")
    characters: Spread | None = Field(None, description="Lengths of texts.")
    words: Spread | None = Field(None, description="Words of texts.")
    pictures: Pictures | None = None
    recordings: Recordings | None = None
    association: Association | None = Field(None, description="With the target.")
    drift: dict[str, Drift] | None = Field(None, description="Of the other parts of the split, from training.")


class Balance(BaseModel):
    """The classes of the target."""

    column: str
    classes: list[ValueCount] = Field(description="The most frequent classes with their rows.")
    number_of_classes: int | None = Field(description="Null for a target of numbers.")


class RepeatedRow(BaseModel):
    """A row, from 0, and an earlier one that is equal."""

    row: int
    same_as: int


class Duplicates(BaseModel):
    """Rows that are equal to others in every column; of files those with equal content."""

    rows: int = Field(description="Rows that repeat an earlier one.")
    of: int = Field(description="Rows that were compared.")
    examples: list[RepeatedRow]
    shared_with_training: dict[str, int] = Field(description="Rows of the other parts that training has too.")


class Profile(BaseModel):
    """What is in a dataset, a page of its columns at a time."""

    rows: int
    profiled_rows: int = Field(description="Rows that were looked at, evenly distributed.")
    columns: list[ColumnProfile]
    next_offset: int | None = Field(description="`?offset=` of the next page of columns; null on the last page.")
    target: Balance | None
    duplicates: Duplicates | None = Field(description="Null where the dataset is too large to search.")
    parts: dict[str, int] | None = Field(description="Rows looked at of each part of the split.")
    warnings: list[JobWarning]
