"""The encoder `contrastive`: what it is built from, what it is taught, and by which losses."""
