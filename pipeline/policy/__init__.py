"""What becomes of a row, given its scores."""
