"""What Prometheus reads. Counts that live in the database are asked there at each scrape: all processes agree."""

from collections.abc import Callable, Iterator

import structlog
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from core.store import counts
from core.store.database import Database
from core.store.scope import EVERYTHING

log = structlog.get_logger("api")

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def latencies(registry: CollectorRegistry) -> Histogram:
    """The histogram of answers by method, route template and status, in seconds."""
    return Histogram(
        "chainrule_request_seconds",
        "Seconds from a request to the end of its answer.",
        ["method", "route", "status"],
        registry=registry,
        buckets=BUCKETS,
    )


def new_registry() -> CollectorRegistry:
    """A registry of this app's own, with what the process uses of the machine."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class StoreCollector(Collector):
    """Jobs by status, the queue, and what the workers have trained."""

    def __init__(self, database: Database, listeners: Callable[[], int]) -> None:
        self._database = database
        self._listeners = listeners

    def collect(self) -> Iterator[Metric]:
        """Ask the store. Where it is away, say so and nothing else."""
        yield _gauge("chainrule_event_listeners", "Streams of events that are open.", self._listeners())
        try:
            stored = self._stored()
        except SQLAlchemyError as error:
            log.warning("cannot count", reason=type(error).__name__)
            yield _gauge("chainrule_database_up", "Whether the database answers.", 0)
            return
        yield _gauge("chainrule_database_up", "Whether the database answers.", 1)
        yield from stored

    def describe(self) -> list[Metric]:
        """Nothing: a registration asks no database."""
        return []

    def _stored(self) -> list[Metric]:
        with self._database.read() as s:
            by_status, depth, total = (
                counts.by_status(s, EVERYTHING),
                counts.queue_depth(s, EVERYTHING),
                counts.total(s),
            )
        jobs = GaugeMetricFamily("chainrule_jobs", "Jobs by status.", labels=["status"])
        for status, count in by_status.items():
            jobs.add_metric([status], count)
        return [
            jobs,
            _gauge("chainrule_queue_depth", "Jobs that are due and wait for a worker.", depth),
            _counter("chainrule_training_steps", "Batches learned from.", total.steps),
            _counter("chainrule_training_samples", "Samples learned from.", total.samples),
            _counter(
                "chainrule_training_seconds", "Seconds spent in steps; by steps: the step time.", total.train_seconds
            ),
        ]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value)
