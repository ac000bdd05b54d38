"""What is in a dataset: a summary of each column, its relation to a target, and what is probably wrong.

Minimum, maximum, mean and the counts of classes are of all rows; the rest is of at most `MAX_ROWS` rows, drawn evenly.
"""

from core.data.profile.profile import MAX_COLUMNS, ProfileQuery, profile

__all__ = ["MAX_COLUMNS", "ProfileQuery", "profile"]
