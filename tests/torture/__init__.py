"""Processes killed at random moments: a few in the test suite, as many as there is time for in `make torture`."""
