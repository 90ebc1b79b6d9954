"""What a run did, and why, as one page to look at."""
