"""The patterns of texts in requests, and what each allows in words."""

from collections.abc import Mapping
from types import MappingProxyType

NO_NUL = r"^[^\x00]*$"  # Postgres refuses the NUL character in text
VISIBLE_ASCII = r"^[\x21-\x7e]{1,255}$"

PATTERN_MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        NO_NUL: "contains the NUL character: remove it",
        VISIBLE_ASCII: "must be 1 to 255 letters, digits and signs of ASCII, without spaces, such as order-42",
    }
)
"""What each pattern allows."""
