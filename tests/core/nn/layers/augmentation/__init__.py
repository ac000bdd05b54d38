"""Tests of data augmentation layers."""
