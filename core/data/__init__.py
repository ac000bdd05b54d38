"""From bytes to arrays: one reader per format, and the features fitted on what was read."""
