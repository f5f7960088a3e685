"""One run from start to end, around the training itself: what is recorded, told and left behind."""
