"""Errors about data, each named for the fact.

DataError
├── InvalidData       the data of a job is wrong, at a pointer into its spec
├── InvalidInstance   a record to predict is wrong, at a pointer into the request
└── InvalidFile       a file or a body does not conform to its format
"""

from core.json_pointer import pointer


class DataError(Exception):
    """Base of all errors of core/data."""


class InvalidData(DataError):
    """{pointer}: {message}."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.pointer = pointer
        self.message = message


class InvalidInstance(DataError):
    """{pointer}: {message}."""

    def __init__(self, index: int, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.index = index
        self.pointer = pointer
        self.message = message

    def after(self, rows: int) -> "InvalidInstance":
        """Return the error of the same instance with so many instances before it."""
        own = pointer("instances", self.index)
        if self.pointer != own and not self.pointer.startswith(f"{own}/"):
            return self
        index = self.index + rows
        return InvalidInstance(index, pointer("instances", index) + self.pointer.removeprefix(own), self.message)


class InvalidFile(DataError):
    """{message}."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
