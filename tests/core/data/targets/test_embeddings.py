"""Tests of core/data/targets/embeddings.py."""

import numpy as np

from core.data.targets.embeddings import Embeddings


def test_answer_is_the_vector_of_each_row() -> None:
    answers = Embeddings(size=2).answer(np.array([[1.0, 2.0], [np.nan, 0.0]]))
    assert answers == [{"value": [1.0, 2.0]}, {"value": [None, 0.0], "nonfinite": "nan"}]
