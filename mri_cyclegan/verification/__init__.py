"""A data set looked at before training: what is wrong with it, and what settings fit it."""
