"""The container group controller: what is wanted and what was seen, to actions and ARM state."""
