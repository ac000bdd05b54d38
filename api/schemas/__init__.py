"""The JSON shapes of requests and responses, and the examples in the docs. Job specs are in `core.jobs.spec`."""
