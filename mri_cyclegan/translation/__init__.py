"""Files and folders of scans into files and folders of translations."""
