"""Errors that end a run."""


class DatabaseAway(Exception):
    """The database cannot be reached and this worker has to end: the job is requeued when its lease runs out."""


class DamagedDataset(Exception):
    """The stored dataset is damaged or missing: upload it again and post the job again."""


class DamagedSpec(Exception):
    """The stored spec is damaged or missing: post the job again."""


class DamagedWarmStart(Exception):
    """The checkpoint that this job starts from is damaged or missing: choose another one."""
