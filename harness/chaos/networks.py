"""The networks that chaos rounds train; together they have every kind of training state."""

from collections.abc import Mapping
from typing import Any

Spec = Mapping[str, Any]

SPLIT = "two processes"
"""The network whose batches are split between two processes."""

NETWORKS: Mapping[str, Spec] = {
    "dropout": {
        "data": {"type": "builtin", "name": "spirals", "rows": 400, "validation": {"fraction": 0.25}},
        "architecture": {
            "layers": [
                {"type": "dense", "units": 32, "activation": "tanh"},
                {"type": "dropout", "rate": 0.1},
                {"type": "dense", "units": 2},
            ]
        },
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "adam", "learning_rate": {"type": "cosine", "initial_learning_rate": 0.01}},
        "training": {"epochs": 550, "batch_size": 10, "shuffle": True, "seed": 7},
    },
    "batch normalization": {
        "data": {"type": "builtin", "name": "moons", "rows": 300, "validation": {"fraction": 0.2}},
        "architecture": {
            "layers": [
                {"type": "dense", "units": 24, "activation": "relu", "use_bias": False},
                {"type": "batch_normalization", "momentum": 0.9},
                {"type": "dense", "units": 1},
            ]
        },
        "optimizer": {"type": "sgd", "learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
        "training": {"epochs": 700, "batch_size": 16, "shuffle": True, "seed": 11},
    },
    "early stopping": {
        "data": {"type": "builtin", "name": "circles", "rows": 300, "noise": 0.2, "validation": {"fraction": 0.3}},
        "architecture": {
            "layers": [
                {"type": "dense", "units": 48, "activation": "relu"},
                {"type": "dropout", "rate": 0.2},
                {"type": "dense", "units": 1},
            ]
        },
        "optimizer": {"type": "adam", "learning_rate": 0.002},
        "training": {
            "epochs": 100_000,
            "batch_size": 12,
            "shuffle": True,
            "seed": 5,
            "early_stopping": {"monitor": "val_loss", "patience": 500, "restore_best_weights": True},
        },
    },
    SPLIT: {
        "data": {"type": "builtin", "name": "moons", "rows": 600, "validation": {"fraction": 0.2}},
        "architecture": {
            "layers": [
                {"type": "dense", "units": 64, "activation": "tanh"},
                {"type": "reshape", "target_shape": [8, 8, 1]},
                {"type": "conv2d", "filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"},
                {"type": "conv2d", "filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"},
                {"type": "dropout", "rate": 0.1},
                "flatten",
                {"type": "dense", "units": 1},
            ]
        },
        "optimizer": {"type": "adam", "learning_rate": 0.001},
        "training": {"epochs": 150, "batch_size": 120, "shuffle": True, "seed": 3},
    },
}
