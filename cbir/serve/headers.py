"""Headers that keep browsers from doing with an answer what it is not for.

In: nothing. Out: names and values: `COMMON` on every answer, `LOCKED` on those that hold somebody's picture.
"""

from __future__ import annotations

#: Nothing is loaded from elsewhere, nothing that stands in a page is run, and no other page shows this one in a frame
#: or uses its answers; where somebody came from is told to nobody else. (With the policy `no-referrer`, browsers send
#: `Origin: null` with the forms of our own pages.)
COMMON = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: A file that is a page as well as a picture is a picture here, and nothing in it is run.
LOCKED = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
