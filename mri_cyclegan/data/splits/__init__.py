"""Who trains, who validates, who tests: by subject, never by slice."""
