"""Tests of core/data/encoders: every encoder keeps the interface."""

import json

import jsonschema_rs
import numpy as np
import pytest

from core.data.encoders import DEFAULT_ENCODERS, ENCODERS, EncoderOptions, default_encoder, encoder_from_json
from core.data.encoders.encoder import WrongValue, separately
from core.nn.tagged_union import members
from tests.core.data.encoders.cases import CASES, Case

EACH = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def test_every_encoder_has_a_case() -> None:
    assert {case.encoder.type for case in CASES.values()} == set(ENCODERS)
    assert {type(case.options) for case in CASES.values()} == set(members(EncoderOptions).values())
    assert all(column_type in options.takes for column_type, options in DEFAULT_ENCODERS.items())
    assert default_encoder(CASES["one_hot"].column).type == "one_hot"


@EACH
def test_json_round_trip_gives_an_equal_encoder(case: Case) -> None:
    assert encoder_from_json(json.loads(json.dumps(case.encoder.to_json(), allow_nan=False))) == case.encoder


@EACH
def test_shape_is_known_from_the_schema(case: Case) -> None:
    assert case.encoder.shape == case.options.shape_for(case.column) == np.shape(case.encoded)[1:]


@EACH
@pytest.mark.parametrize("scaled", [True, False])
def test_fit_gives_the_shape_of_the_schema(case: Case, scaled: bool) -> None:
    encoder = case.options.fit(case.column, case.loaded, scaled=scaled)
    assert type(encoder) is type(case.encoder)
    assert (encoder.column, encoder.shape) == (case.column.name, case.options.shape_for(case.column))
    assert case.column.type in case.options.takes


@EACH
def test_transform_of_loaded_values_is_the_encoded_rows(case: Case) -> None:
    x = np.zeros(np.shape(case.encoded), np.float32)
    case.encoder.transform(case.loaded, x)
    np.testing.assert_array_equal(x, np.array(case.encoded, np.float32))


@EACH
def test_transform_of_parsed_values_equals_loaded_values(case: Case) -> None:
    parsed = np.array([case.encoder.parse(value)[0] for value in case.raw], case.encoder.dtype)
    x, expected = np.zeros((2, *np.shape(case.encoded)), np.float32)
    case.encoder.transform(parsed, x)
    case.encoder.transform(case.loaded, expected)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.options.alone])
def test_combine_of_an_encoder_alone_is_its_transform(name: str) -> None:
    case = CASES[name]
    x = np.zeros(np.shape(case.encoded), np.float32)
    type(case.encoder).combine([case.encoder], [0])(case.loaded[:, None], x)
    np.testing.assert_array_equal(x, np.array(case.encoded, np.float32))


@pytest.mark.parametrize("case", [case for case in CASES.values() if not case.options.alone])
def test_combine_writes_the_same_bits_as_separate_transforms(case: Case) -> None:
    width = case.encoder.shape[0]
    encoders, starts = [case.encoder, case.encoder], [1, 2 + width]
    values = np.stack([case.loaded, case.loaded[::-1]], axis=1)
    x, expected = np.zeros((2, len(values), 3 + 2 * width), np.float32)
    type(case.encoder).combine(encoders, starts)(values, x)
    separately(encoders, starts)(values, expected)
    assert x.tobytes() == expected.tobytes()
    assert not x[:, [0, 1 + width, -1]].any()


@EACH
def test_schema_is_valid_for_what_parse_takes(case: Case) -> None:
    schema = jsonschema_rs.validator_for(case.encoder.schema())
    assert all(schema.is_valid(value) for value in case.raw)
    for value in case.refused:
        if not isinstance(value, str | int):  # texts that are not numbers are refused by parse alone
            assert not schema.is_valid(value)


@EACH
def test_parse_refuses_other_values(case: Case) -> None:
    for value in case.refused:
        with pytest.raises(WrongValue):
            case.encoder.parse(value)
