"""Tests of core/data/targets/labels.py."""

import numpy as np

from core.data.targets.labels import Labels


def test_answer_leaves_padding_out() -> None:
    assert Labels(max_labels=3).answer(np.array([[1, 0, 2], [0, 0, 0]])) == [{"value": [1, 2]}, {"value": []}]
