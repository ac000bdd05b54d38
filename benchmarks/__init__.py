"""What is measured: this core beside others, on the same work in one run."""
