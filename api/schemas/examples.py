"""Example requests: the docs page offers them, the README prints some, and a test sends each one."""

from typing import Annotated, Any

from fastapi import Path

from core.data.readers import OPTIONS, READERS
from core.jobs.examples import DOUBLING

LATEST = "latest"

SPIRALS: dict[str, Any] = {
    "name": "two spirals",
    "data": {"type": "builtin", "name": "spirals", "validation": {"fraction": 0.2}},
    "architecture": {
        "layers": [
            {"type": "dense", "units": 64, "activation": "relu"},
            {"type": "dense", "units": 64, "activation": "relu"},
            {"type": "dense", "units": 1},
        ]
    },
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "training": {"epochs": 200, "batch_size": 32, "seed": 1},
}

WARM: dict[str, Any] = DOUBLING | {"start_from": {"job": LATEST, "checkpoint": "last"}}

JOBS = {
    "line": {"summary": "y = 2x in 100 steps", "value": DOUBLING},
    "spirals": {"summary": "Two spirals, separated by a small network", "value": SPIRALS},
    "warm": {"summary": "y = 2x, starting from the weights of the newest job", "value": WARM},
}

CONTINUATIONS = {
    "more": {"summary": "50 more epochs", "value": {"epochs": 50}},
    "until": {"summary": "Until the loss converges", "value": {"epochs": 1000, "convergence": {"tolerance": 0.01}}},
}

INSTANCES = {"six": {"summary": "2 × 6", "value": {"instances": [[6]]}}}

BATCHES = {"two": {"summary": "Two points of y = 2x", "value": {"instances": [[1], [2]], "targets": [2, 4]}}}

CSV = "hours,coffee,passed\n1,yes,no\n2,no,no\n3,yes,yes\n4,no,yes\n5,yes,yes\n"

RECORDS = [{"hours": 1, "passed": "no"}, {"hours": 5, "passed": "yes"}]

DATASET_FORM = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {
                "type": "string",
                "format": "binary",
                "description": "A table (CSV, JSON records, Parquet, Excel, OpenDocument), npy, npz, zip or tar.",
            },
            "name": {"type": "string", "description": "Name of the dataset; by default the file's name."},
            "format": {"type": "string", "enum": [*READERS], "description": "If it cannot be inferred."},
            **{name: {"type": "string", "description": description} for name, description in OPTIONS.items()},
            "types": {
                "type": "string",
                "description": 'Column types that override the inferred ones, as JSON: `{"zip": "category"}`. '
                "The types are number, category, text and datetime.",
            },
        },
    },
    "example": {"file": CSV, "name": "exam"},
}

JobId = Annotated[
    str,
    Path(
        description="Id of a job, or `latest` for the newest.",
        openapi_examples={"newest": {"summary": "the newest job", "value": LATEST}},
    ),
]

UploadId = Annotated[
    str,
    Path(
        description="Id of an upload, or `latest` for the newest.",
        openapi_examples={"newest": {"summary": "the newest upload", "value": LATEST}},
    ),
]

DatasetId = Annotated[
    str,
    Path(
        description="Id of a dataset, or `latest` for the newest.",
        openapi_examples={"newest": {"summary": "the newest dataset", "value": LATEST}},
    ),
]
