"""Checks of a data set before training: its problems, and the settings that fit it."""
