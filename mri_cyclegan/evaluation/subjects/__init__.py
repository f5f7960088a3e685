"""Per-subject evaluation: scans, outputs, targets, labels and the records kept of them."""
