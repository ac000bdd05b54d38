"""The HTTP protocol: bodies, limits, errors, the OpenAPI document. Independent of the resources."""
