"""Which stored pictures are the same, edited, and which only show the same motif."""
