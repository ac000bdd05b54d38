"""The chaos run: real processes, real faults at random moments, and the undisturbed run to compare with."""
