"""Configuration of a run: its schema, its checks, and how overrides are parsed and explained."""
