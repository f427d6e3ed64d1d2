"""A collection seen whole: its features in two dimensions, for the eye and not to search in."""
