"""Errors about data, each named for the fact.

DataError
├── InvalidData       the data of a job is wrong, at a pointer into its spec
├── InvalidInstance   a record to predict is wrong, at a pointer into the request
└── InvalidFile       a file or a body does not conform to its format
"""


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


class InvalidFile(DataError):
    """{message}."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
