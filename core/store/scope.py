"""Which rows a caller may read and change: every query that a client's request can reach takes a `Scope`.

A row outside the scope does not exist for the caller: reads do not return it, changes raise `NoSuchJob`.

Queries of workers and operators (`leases`, `garbage`, `doctor`, `backup`, `clock`, `migrate`) take no scope: leases,
fencing tokens and blobs belong to the whole service. A worker that calls a scoped query passes `EVERYTHING`.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, true
from sqlalchemy.orm import QueryableAttribute, aliased

from core.store.tables import Job

DEFAULT_OWNER = ""
"""The owner of rows that a scope without an owner inserts."""


@dataclass(frozen=True)
class Scope:
    """All rows of one owner, or of all owners where `owner` is None."""

    owner: str | None

    @classmethod
    def everything(cls) -> "Scope":
        """Return the scope that includes the rows of all owners."""
        return cls(owner=None)

    def includes(self, owner: QueryableAttribute[str]) -> ColumnElement[bool]:
        """Return the SQL condition that a row with this owner column is in the scope."""
        return true() if self.owner is None else owner == self.owner

    def includes_job(self, job_id: str | QueryableAttribute[str]) -> ColumnElement[bool]:
        """Return the SQL condition that a job is in the scope, for tables without an owner column of their own."""
        if self.owner is None:
            return true()
        job = aliased(Job)  # not to be correlated with `jobs` of the enclosing statement
        return exists().where(job.id == job_id, job.owner == self.owner)

    def owner_of_new(self, owner: str | None = None) -> str:
        """Return the owner to store in a new row: the scope's own; in `EVERYTHING`, `owner` or else the default.

        Raises
        ------
        ValueError
            If `owner` is outside the scope.
        """
        if self.owner is None:
            return DEFAULT_OWNER if owner is None else owner
        if owner not in (None, self.owner):
            raise ValueError(f"a scope of owner {self.owner!r} cannot insert a row of owner {owner!r}")
        return self.owner


EVERYTHING = Scope.everything()
"""For workers, operators, and an API without accounts."""
