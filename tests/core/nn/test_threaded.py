"""A step by several threads, each with a share of the weights."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from core.nn import training
from core.nn.arena import Arena, Run
from core.nn.layers.dense import Dense
from core.nn.optimizers.threaded import WORTH, Threaded, threads_worth
from core.nn.optimizers.wrappers import ClipByNorm, Lookahead, Optimizer
from core.nn.training import Learner, Training
from tests.core.nn.cases import OPTIMIZERS, sequential
from tests.core.nn.some import ATraining, classes


@dataclass
class Recorder:
    """Remembers from which threads which weights are stepped, and does so as its `step` says."""

    step: Any = None
    threads: dict[int, list[float]] = field(default_factory=dict)
    heard: list[Any] = field(default_factory=list)

    def update(self, weights: Any, gradient: Any, slots: Any, step: int, rate: float, run: Run) -> None:
        self.threads[threading.get_ident()] = weights.tolist()
        self.heard.append(np.geterr()["over"])
        if self.step:
            self.step(weights, slots)


def a_step(threaded: Threaded, weights: int = 7) -> None:
    vectors = [np.arange(weights, dtype=np.float32) for _ in range(3)]
    threaded.update(vectors[0], vectors[1], {"mean": vectors[2]}, 0, 0.1, Run(Arena(), training=True))


def by(threads: int, optimizer: Any) -> Threaded:
    return Threaded(optimizer, threads, np.float32)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.type)
def test_threads_change_no_number(optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many weights as do not fill the threads' shares evenly, nor the processor's vectors."""
    monkeypatch.setattr(training, "threads_worth", lambda _, threads: threads)
    net = sequential(Dense(units=31), Dense(units=17), Dense(units=2))
    rules = Training(epochs=5, batch_size=16, metrics=())
    alone, *others = (ATraining(classes(48), net, optimizer=optimizer, training=rules, threads=n) for n in (1, 2, 3))
    alone.run()
    for other in others:
        other.run()
        assert other.weights.tobytes() == alone.weights.tobytes()


@pytest.mark.parametrize(
    ("around", "threads"),
    [
        (lambda inner: inner, 3),
        (lambda inner: ClipByNorm(max_norm=1.0, optimizer=Lookahead(optimizer=inner)), 3),
    ],
    ids=["by itself", "in wrappers"],
)
def test_each_thread_has_its_share(around: Any, threads: int) -> None:
    together = threading.Barrier(threads, timeout=60)
    recorder = Recorder(lambda *_: together.wait())
    vectors = [np.arange(7, dtype=np.float32) for _ in range(4)]
    slots = {"slow": vectors[2], "inner.mean": vectors[3]}
    by(threads, around(recorder)).update(vectors[0], vectors[1], slots, 0, 0.1, Run(Arena(), training=True))
    assert sorted(recorder.threads.values()) == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0, 6.0]]


def test_what_looks_at_several_weights_at_once_stays_in_one_thread() -> None:
    recorder: Any = Recorder()
    recorder.elementwise = False
    a_step(by(3, recorder))
    assert list(recorder.threads) == [threading.get_ident()]


def test_each_thread_is_as_quiet_about_overflow_as_the_training() -> None:
    recorder = Recorder()
    with np.errstate(over="raise"):
        a_step(by(2, recorder))
    assert recorder.heard == ["raise", "raise"]


@pytest.mark.parametrize("share", [0, 1])
def test_an_error_in_a_share_is_raised_when_all_have_ended(share: int) -> None:
    ended = []

    def step(weights: Any, _: Any) -> None:
        if (weights[0] > 0) == bool(share):
            raise MemoryError
        time.sleep(0.1)  # the other thread's error comes first
        ended.append(weights)

    threaded = by(2, Recorder(step))
    with pytest.raises(MemoryError):
        a_step(threaded)
    assert len(ended) == 1
    threaded.close()


def test_few_weights_are_worth_one_thread() -> None:
    assert [threads_worth(weights, 2) for weights in (1, WORTH, 2 * WORTH - 1, 2 * WORTH)] == [1, 1, 1, 2]
    assert threads_worth(100 * WORTH, 1) == 1
    assert threads_worth(3 * WORTH, 64) == 3


def test_its_threads_end_with_the_training() -> None:
    before = threading.active_count()
    it = ATraining(classes(8), sequential(Dense(units=2 * WORTH // 7), Dense(units=2)), threads=2)
    assert it.state is not None
    learner = Learner(it.network, it.loss, it.optimizer, it.training, it.data, it.state, threads=2)
    learner.step()
    assert threading.active_count() == before + 1
    learner.close()
    assert threading.active_count() == before
