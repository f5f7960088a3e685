"""Quick figures that a training is watched by."""
