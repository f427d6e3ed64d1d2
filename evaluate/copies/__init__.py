"""How good a collection is without labels: edited copies of its own pictures are searched for."""
