"""What a run is told: its schema, what is refused, and how overrides are read and explained."""
