"""Real tasks, each learnt from the first weight on: what the core is right about, beside what it must be."""
