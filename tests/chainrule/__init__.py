"""Tests of chainrule."""
