"""The HTTP protocol: bodies, limits, errors, the OpenAPI document. Knows no resource."""
