"""Connections to DuckDB that can read one file and nothing else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MEMORY = "256MB"
"""Memory of DuckDB, which reads a file in blocks."""
THREADS = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


class NotReadable(Exception):
    """DuckDB cannot read the file; the message is its own."""


@contextmanager
def locked_connection(path: str | os.PathLike[str]) -> "Iterator[duckdb.DuckDBPyConnection]":
    """Open DuckDB, able to read this one file and nothing else. Its errors become `NotReadable` or `MemoryError`.

    No extension is loaded or installed, and no setting can be changed afterwards.
    """
    import duckdb  # noqa: PLC0415 - a library of 66 MB, which other formats do not need

    config: dict[str, str | bool | int | float | list[str]] = {
        "allow_community_extensions": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": MEMORY,
        "temp_directory": "",
        "threads": THREADS,
    }
    connection = duckdb.connect(config=config)
    try:
        connection.execute(f"SET allowed_paths = [{literal(os.fspath(path))}]")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    except duckdb.OutOfMemoryException:
        raise MemoryError from None
    except duckdb.Error as error:
        raise NotReadable(str(error).replace(os.fspath(path), "the file")) from None
    finally:
        connection.close()


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
