"""Metrics for Prometheus. Counts in the database are queried at each scrape, so all processes report the same."""

from collections.abc import Callable, Iterator

import structlog
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from core.store import counts, totals
from core.store.database import Database
from core.store.scope import EVERYTHING
from core.store.totals import Amounts

log = structlog.get_logger("api")

LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def latency_histogram(registry: CollectorRegistry) -> Histogram:
    """Return the histogram of request latencies by method, route template and status, in seconds."""
    return Histogram(
        "chainrule_request_seconds",
        "Seconds from the request to the end of the response.",
        ["method", "route", "status"],
        registry=registry,
        buckets=LATENCY_BUCKETS_SECONDS,
    )


def new_registry() -> CollectorRegistry:
    """Return a registry of this app alone, with the metrics of its process (CPU, memory, files)."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class StoreCollector(Collector):
    """Collector of the counts in the store: jobs by status, queue depth, training totals."""

    def __init__(self, database: Database, listeners: Callable[[], int], limits: Amounts) -> None:
        self._database = database
        self._limits = limits
        self._listeners = listeners

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; only `chainrule_database_up` 0 and the listeners if the database cannot be reached."""
        yield _gauge("chainrule_event_listeners", "Open event streams.", self._listeners())
        try:
            stored = self._store_metrics()
        except SQLAlchemyError as error:
            log.warning("cannot read the counts for Prometheus", reason=type(error).__name__)
            yield _gauge("chainrule_database_up", "Whether the database answers.", 0)
            return
        yield _gauge("chainrule_database_up", "Whether the database answers.", 1)
        yield from stored

    def describe(self) -> list[Metric]:
        """Return nothing, so that registration does not query the database."""
        return []

    def _store_metrics(self) -> list[Metric]:
        with self._database.read() as s:
            by_status, depth, total = (
                counts.by_status(s, EVERYTHING),
                counts.queue_depth(s, EVERYTHING),
                counts.total(s),
            )
            stored = totals.of_all(s)
        jobs = GaugeMetricFamily("chainrule_jobs", "Jobs by status.", labels=["status"])
        for status, count in by_status.items():
            jobs.add_metric([status], count)
        amounts = GaugeMetricFamily("chainrule_stored", "What is stored, or reserved, in total.", labels=["amount"])
        limits = GaugeMetricFamily("chainrule_stored_limit", "The limit of it for one owner.", labels=["amount"])
        for name, amount, limit in zip(Amounts._fields, stored, self._limits, strict=True):
            amounts.add_metric([name], amount)
            limits.add_metric([name], limit)
        return [
            jobs,
            amounts,
            limits,
            _gauge("chainrule_queue_depth", "Jobs that are due and not claimed by a worker.", depth),
            _counter("chainrule_training_steps", "Training steps (batches).", total.steps),
            _counter("chainrule_training_samples", "Training samples.", total.samples),
            _counter("chainrule_training_seconds", "Seconds spent in training steps.", total.train_seconds),
        ]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value)
