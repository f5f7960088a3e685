"""Splits data sets into training, validation and test parts, by subject and never by slice."""
