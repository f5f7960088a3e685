"""How fast it is, beside what else there is."""
