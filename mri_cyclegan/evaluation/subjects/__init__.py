"""One subject at a time: scans, outputs, truths, labels, and what is kept of them."""
