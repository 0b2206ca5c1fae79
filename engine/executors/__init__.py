"""Where bodies live: one module a place."""
