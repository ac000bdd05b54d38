"""Other versions of this service: from the history, and a copy of this one that is made older."""
