"""What a good score does not show."""
