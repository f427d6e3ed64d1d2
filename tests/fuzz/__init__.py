"""Files damaged at random; some thousand of them in the test suite, as many as there is time for in `make fuzz`."""
