"""What an output is worth beside the truth, beside real scans, and beside its own spread."""
