"""The estimated cost of a job, and the limits on it."""

from typing import Any

import pytest

from core.jobs.estimate import Estimate
from core.nn.metrics.ranking import RocAuc
from core.nn.training.mixup import mixed_bytes
from tests.core.jobs.specs import BUCKETED, EMBEDDING, MIXUP, SEQUENCES, a_spec, cost_of, dense, error_of

EXCEEDED: list[tuple[dict[str, Any], str, str]] = [
    ({"limits": {"memory": 10**12}}, "/limits/memory", "at most that"),
    ({"limits": {"flops": 10**15}}, "/limits/flops", "at most that"),
    ({"limits": {"memory": 10}}, "/architecture", "bytes of memory, and 10 are allowed"),
    ({"limits": {"flops": 10}}, "/architecture", "per step, and 10 are allowed"),
    ({"layers": [dense(10**6), dense(10**6), dense(1)]}, "/architecture", "parameters"),
    ({"layers": [dense(2**31 - 1)] * 40 + [dense(1)]}, "/architecture", "more than 10^"),
]


@pytest.mark.parametrize(("body", "place", "message"), EXCEEDED)
def test_exceeded_limit_is_an_error(body: dict[str, Any], place: str, message: str) -> None:
    error = error_of(a_spec(**body))
    assert error.code == "limit_exceeded"
    assert {pointer for pointer, _ in error.errors} == {place}
    assert message in str(error)


def test_optimizer_state_takes_its_memory() -> None:
    none, adam, factored, lookahead = (
        cost_of(a_spec(layers=[dense(30), dense(1)], optimizer=optimizer)).bytes
        for optimizer in ("gradient_descent", "adam", "adafactor", {"type": "lookahead", "optimizer": "adafactor"})
    )
    parameters, state = 2 * 30 + 30 + 30 + 1, (2 + 30) + (30 + 1) + (30 + 1)
    assert (adam - none, factored - none) == (4 * 2 * parameters, 4 * state)
    assert lookahead - factored == 4 * parameters


def test_second_pass_doubles_the_operations_and_takes_no_memory() -> None:
    def cost(optimizer: Any, batch_size: int) -> Estimate:
        layers = [dense(30), dense(1)]
        return cost_of(a_spec(layers=layers, optimizer=optimizer, training={"batch_size": batch_size}))

    one_pass = cost("gradient_descent", batch_size=2)
    two_passes = cost({"type": "sharpness_aware", "optimizer": "gradient_descent"}, batch_size=2)
    assert two_passes.flops == cost("gradient_descent", batch_size=4).flops
    assert two_passes.bytes == one_pass.bytes
    assert two_passes.flops > 1.5 * one_pass.flops


def test_metric_that_stores_scores_takes_their_memory() -> None:
    steps = {"type": "inline", "x": [[1, 2, 3]] * 8, "y": [[0, 1, 4]] * 8}
    layers = [{"type": "embedding", "input_dim": 5, "output_dim": 2}, dense(5)]
    bare, ranked, both = (
        cost_of(a_spec(steps, layers, loss="cross_entropy", training={"metrics": names})).bytes
        for names in ([], ["roc_auc"], ["roc_auc", "pr_auc"])
    )
    assert ranked - bare == both - ranked == RocAuc().stored_bytes(8, (3, 5)) > 8 * 8 * 3 * 6


def test_independent_units_are_ranked_as_rows() -> None:
    bits = {"type": "inline", "x": [[1, 2, 3]] * 8, "y": [[0, 1, 1]] * 8}
    bare, ranked = (
        cost_of(a_spec(bits, [dense(3)], loss="binary_cross_entropy", training={"metrics": names})).bytes
        for names in ([], ["roc_auc"])
    )
    assert ranked - bare == RocAuc().stored_bytes(8, (3, 1)) == RocAuc().stored_bytes(24, (1,))


def test_mixup_takes_its_memory() -> None:
    plain, mixup = (cost_of(spec).bytes for spec in (a_spec(training={"batch_size": 3} | more) for more in ({}, MIXUP)))
    assert mixup - plain == mixed_bytes(3, (2,), (1,))


@pytest.mark.parametrize(
    ("limit", "noun"), [("parameters", "parameters"), ("memory", "bytes"), ("flops", "floating"), ("layers", "layers")]
)
def test_every_limit_of_the_service_holds(limit: str, noun: str) -> None:
    assert noun in str(error_of(a_spec(layers=[dense(3), dense(1)]), **{limit: 1}))


def test_cost_of_a_nested_network() -> None:
    spec = a_spec(layers=[dense(8, activation="relu"), {"type": "sequential", "layers": [dense(1)]}])
    found = cost_of(spec)
    assert found.parameters == (2 * 8 + 8) + (8 + 1)
    assert [(layer.pointer, layer.output_shape, layer.parameters) for layer in found.layers] == [
        ("/architecture/layers/0", (8,), 24),
        ("/architecture/layers/1", (1,), 9),
        ("/architecture/layers/1/layers/0", (1,), 9),
    ]
    assert found.steps == 10
    assert found.flops > 0
    assert found.bytes > 4 * 5 * found.parameters


def test_layers_inside_composites_have_their_pointers() -> None:
    parallel = {"type": "parallel", "branches": [dense(2), dense(3)]}
    spec = a_spec(
        layers=[{"type": "repeat", "n": 2, "layer": {"type": "residual", "layer": dense(2)}}, parallel, dense(1)]
    )
    found = cost_of(spec)
    assert [layer.pointer.removeprefix("/architecture/layers/") for layer in found.layers] == [
        "0", *["0/layer", "0/layer/layer"] * 2, "1", "1/branches/0", "1/branches/1", "2",
    ]  # fmt: skip
    assert sum(layer.parameters for layer in found.layers if layer.type == "dense") == found.parameters


def test_bucketing_takes_no_memory() -> None:
    layers = [EMBEDDING | {"mask_zero": True}, {"type": "gru", "units": 2}, dense(1)]
    bucketed, whole = (a_spec(SEQUENCES, layers, **more) for more in (BUCKETED, {}))
    sizes = [cost_of(spec).bytes for spec in (bucketed, whole)]
    assert sizes[0] == sizes[1]
