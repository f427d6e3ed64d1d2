"""The page and the API: one warm process holds encoder and collection, and answers whoever asks.

In: requests over HTTP. Out: pages for people, JSON for programs (`routes`). Everything that takes time is done off the
event loop, behind a gate that bounds how much of it waits (`gate`).
"""
