"""Data sources, one per file: rows in the spec, built-in datasets, uploaded datasets."""

from typing import Annotated

from core.data.sources.builtin import Builtin
from core.data.sources.dataset import DatasetReference
from core.data.sources.inline import Inline
from core.nn.tagged_union import Tagged

Data = Annotated[Inline | Builtin | DatasetReference, Tagged("Data")]
"""The field `data` of a spec."""
