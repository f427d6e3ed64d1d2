"""A tool for assistants, by the Model Context Protocol: they list collections, search them, and look at pictures.

In: requests on standard input. Out: answers on standard output, and nothing else there. Nothing is changed, and no file
is read but below the collections' roots.
"""
