"""Large byte strings by their SHA-256, in a folder or in a bucket."""
