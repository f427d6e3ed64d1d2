"""An embedded collection that one process holds and others of the same user use, over a socket in the home."""
