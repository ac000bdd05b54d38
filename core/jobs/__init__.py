"""Jobs: spec, states and transitions, validation, cost estimate, continuation."""
