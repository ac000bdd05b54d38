"""JSON pointers (RFC 6901), which name one value of a JSON document."""


def pointer(*steps: str | int) -> str:
    """Return the JSON pointer of a path of keys and indices: `pointer("a/b", 0)` is `/a~1b/0`, `pointer()` is empty."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
