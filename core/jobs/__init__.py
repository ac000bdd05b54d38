"""What a job is: its spec, its states and their transitions, and why it stopped."""
