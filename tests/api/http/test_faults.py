"""One mistake in a body gives one error, at its place, that says what to write instead."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.http.errors import FieldError, InvalidBody
from api.http.parsing import parse
from core.jobs.errors import MAX_ERRORS
from core.jobs.spec import JobSpec
from harness.processes import ROOT

SPEC: dict[str, Any] = {
    "data": {"type": "inline", "x": [[1], [2], [3], [4]], "y": [2, 4, 6, 8]},
    "architecture": {"layers": [{"type": "dense", "units": 1}]},
    "training": {"epochs": 3, "early_stopping": {"monitor": "loss", "patience": 2}},
    "optimizer": {"type": "sgd", "learning_rate": {"type": "cosine", "decay_steps": 9, "initial_learning_rate": 0.1}},
    "metadata": {"team": "a"},
}
LAYER = "architecture/layers/0"
EXAMPLES = [SPEC, *(json.loads(path.read_text()) for path in sorted((ROOT / "docs/examples").glob("*.json")))]
REMOVED = object()

TYPES = [
    (f"{LAYER}/type", "dence", "did you mean dense?"),
    (f"{LAYER}/type", "Dense", "did you mean dense?"),
    (f"{LAYER}/type", "nn.Linear", "did you mean dense?"),
    (f"{LAYER}/type", "keras.layers.Conv2D", "did you mean conv2d?"),
    (f"{LAYER}/type", "BatchNorm2d", "did you mean batch_normalization?"),
    (f"{LAYER}/type", "MaxPool2d", "did you mean max_pooling2d?"),
    (f"{LAYER}/type", "ReLU", '{"type": "activation", "activation": "relu"}'),
    (f"{LAYER}/type", "Input", "the shape of the input follows from the data"),
    (f"{LAYER}/type", "qqq", "(/docs lists all"),
    (LAYER, "dense", 'write an object such as {"type": "dense", "units": 16}'),
    (LAYER, {"class_name": "Dense", "units": 3}, 'write "type": "dense" instead of "class_name"'),
    (LAYER, {"units": 3}, 'needs a "type"'),
    (f"{LAYER}/activation", "ReLU", "did you mean relu?"),
    (f"{LAYER}/activation", "swish", "did you mean silu?"),
    (f"{LAYER}/kernel_initializer", "xavier_uniform", "did you mean glorot_uniform?"),
    (f"{LAYER}/kernel_regularizer", {"type": "ridge"}, "did you mean l2?"),
    ("optimizer", "Adam", "did you mean adam?"),
    ("optimizer", {"type": "Adam"}, "did you mean adam?"),
    ("optimizer", {"name": "RMSprop"}, 'write "type": "rmsprop" instead of "name"'),
    ("optimizer/learning_rate", {"type": "CosineAnnealingLR"}, "did you mean cosine?"),
    ("optimizer/learning_rate", "cosine", "cosine needs more than its name"),
    ("loss", "mse", "did you mean mean_squared_error?"),
    ("loss", "CrossEntropyLoss", "did you mean cross_entropy?"),
    ("loss", "BCEWithLogitsLoss", "did you mean binary_cross_entropy?"),
    ("loss", "SmoothL1Loss", "did you mean huber?"),
    ("training/metrics", ["acc"], "did you mean accuracy?"),
    ("training/metrics", ["f1_score"], "did you mean f_beta?"),
    ("training/metrics", ["AUC"], "did you mean roc_auc?"),
    ("data/type", "csv", "did you mean dataset?"),
    ("start_from", {"job": "latest", "checkpoint": "bset"}, "did you mean best?"),
]

FIELDS = [
    (f"{LAYER}/neurons", 3, "units"),
    (f"{LAYER}/out_features", 3, "units"),
    (f"{LAYER}/hidden_size", 3, "units"),
    (f"{LAYER}/unitz", 3, "units"),
    (f"{LAYER}/use_bais", True, "did you mean use_bias?"),
    (f"{LAYER}/bias", True, "did you mean use_bias?"),
    (f"{LAYER}/input_shape", [3], "leave it out: the shape of the input follows from the data"),
    (f"{LAYER}/dropout", 0.5, '{"type": "dropout", "rate": 0.5}'),
    (f"{LAYER}/name", "first", "leave it out"),
    ("optimizer/lr", 0.1, "learning_rate"),
    ("optimizer/weight_decay", 0.1, '{"type": "adamw", "weight_decay": 0.01}'),
    ("optimizer/clipnorm", 1.0, '"clip_by_norm"'),
    ("lr", 0.1, "it is /optimizer/learning_rate"),
    ("epochs", 5, "it is /training/epochs"),
    ("max_iter", 5, "it is /training/epochs"),
    ("batch_size", 5, "it is /training/batch_size"),
    ("random_state", 5, "it is /training/seed"),
    ("validation_split", 0.2, "it is /data/validation/fraction"),
    ("training/validation_split", 0.2, "it is /data/validation/fraction"),
    ("data/validation_split", 0.2, "it is /data/validation/fraction"),
    ("training/loss", "mean_squared_error", "it is /loss"),
    ("training/n_iter_no_change", 3, "/training/early_stopping/patience"),
    ("criterion", "mean_squared_error", "did you mean loss?"),
    ("solver", "adam", "it is /optimizer, which is given: remove this one"),
    ("hidden_layer_sizes", [10], "write one layer for each in /architecture/layers"),
    ("callbacks", [], "/training/early_stopping"),
    ("verbose", 1, "leave it out"),
    ("device", "cuda", "leave it out"),
    ("metrics", ["accuracy"], "it is /training/metrics"),
    ("trainig", {}, "training is given too"),
    ("qqq", 1, "remove it; the fields are name, data, architecture"),
]

SHAPES = [
    ("training/early_stopping", True, '{"monitor": "val_loss", "patience": 5}'),
    ("training/reduce_lr_on_plateau", 5, '{"monitor": "val_loss", "patience": 5}'),
    ("training/target", 0.1, '{"monitor": "val_loss", "value": 0.1}'),
    ("training/mixup", True, '{"alpha": 0.2}'),
    ("training/metrics", "accuracy", '[{"type": "accuracy"}]'),
    ("data/validation", 0.2, '{"fraction": 0.2}'),
    ("data", [[1, 2]], '{"type": "inline", "x": [[1.0], [2.0]], "y": [2.0, 4.0]}'),
    ("architecture/layers", {}, '[{"type": "dense", "units": 16}]'),
    ("architecture", REMOVED, "is required"),
    (LAYER, 7, '{"type": "dense", "units": 16}'),
    ("optimizer", 0.1, '{"type": "adam", "learning_rate": 0.001'),
    ("optimizer/learning_rate", True, "must be a number, or an object"),
    (f"{LAYER}/kernel_regularizer", 0.1, '{"type": "l1", "l1": 0.01}'),
    ("start_from", "latest", '{"job": "latest"}'),
    ("limits", 5, '{"memory": 1000000000'),
    ("metadata", ["a"], '{"key": "text"}'),
]


def changed(spec: Any, path: list[str | int], value: Any) -> Any:
    """Return a copy of a spec with another value at a path, or without it."""
    spec = copy.deepcopy(spec)
    owner = spec
    for step in path[:-1]:
        owner = owner[step]
    if value is REMOVED:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return spec


def steps(path: str) -> list[str | int]:
    return [int(step) if step.isdigit() else step for step in path.split("/")]


def errors_of(spec: Any) -> list[FieldError]:
    try:
        parse(JobSpec, json.dumps(spec).encode())
    except InvalidBody as error:
        return list(error.errors)
    return []


@pytest.mark.parametrize(("path", "value", "words"), [*TYPES, *FIELDS, *SHAPES])
def test_message_says_what_to_write_instead(path: str, value: Any, words: str) -> None:
    (error,) = errors_of(changed(SPEC, steps(path), value))
    assert words in error.message
    assert len(error.message) < 400
    assert at_or_above(error, f"/{path}") or f"{error.pointer}/".startswith(f"/{path}/")


def places(value: Any, *path: str | int) -> Iterator[list[str | int]]:
    """Yield the path of each field and item besides the rows of the data."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield [*path, step]
        if path[:1] != ("data",):
            yield from places(item, *path, step)


def at_or_above(error: FieldError, place: str) -> bool:
    return error.pointer is not None and (error.pointer == "" or f"{place}/".startswith(f"{error.pointer}/"))


def text_of(path: list[str | int]) -> str:
    return "".join(f"/{step}" for step in path)


@pytest.mark.parametrize(
    "value", [REMOVED, 7, True, "qqq", None, [[]]], ids=["removed", "7", "true", "text", "null", "list"]
)
@pytest.mark.parametrize("spec", EXAMPLES, ids=range(len(EXAMPLES)))
def test_one_value_of_another_type_gives_one_error_at_its_place(spec: dict[str, Any], value: Any) -> None:
    for path in places(spec):
        place, errors = text_of(path), errors_of(changed(spec, path, value))
        assert len(errors) <= 1, (place, errors)
        assert all(at_or_above(one, place) or f"{one.pointer}/".startswith(f"{place}/") for one in errors), place


@pytest.mark.parametrize("spec", EXAMPLES, ids=range(len(EXAMPLES)))
def test_one_renamed_field_gives_one_error_at_its_place(spec: dict[str, Any]) -> None:
    for path in places(spec):
        if isinstance(path[-1], str) and path[0] != "metadata":
            owner: Any = spec
            for step in path[:-1]:
                owner = owner[step]
            renamed = {("qqq" if name == path[-1] else name): item for name, item in owner.items()}
            errors = errors_of(changed(spec, path[:-1], renamed) if path[:-1] else renamed)
            assert len(errors) == 1, (path, errors)
            assert at_or_above(errors[0], text_of([*path[:-1], "qqq"])), (path, errors)


@pytest.mark.parametrize("spec", EXAMPLES, ids=range(len(EXAMPLES)))
def test_any_object_in_place_of_a_value_is_refused_or_accepted_and_never_fails(spec: dict[str, Any]) -> None:
    for path in places(spec):
        assert len(errors_of(changed(spec, path, {"qqq": [], "type": []}))) <= MAX_ERRORS


def test_several_mistakes_give_several_errors() -> None:
    spec = changed(changed(changed(SPEC, ["epochs"], 5), ["loss"], "mse"), steps(f"{LAYER}/units"), 0)
    assert {error.pointer for error in errors_of(spec)} == {"/epochs", "/loss", f"/{LAYER}/units"}


def test_missing_and_unknown_fields_of_different_objects_are_two_errors() -> None:
    spec = changed(changed(SPEC, ["qqq"], 5), steps(f"{LAYER}/units"), REMOVED)
    assert {error.pointer for error in errors_of(spec)} == {"/qqq", f"/{LAYER}/units"}
