"""From generated parameters to complete, selected networks."""
