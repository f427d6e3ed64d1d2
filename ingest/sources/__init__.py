"""Where pictures come from: named datasets and folders, each an iterable of items."""
