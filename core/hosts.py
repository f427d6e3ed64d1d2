"""Hosts: whether one is this machine.

In: a name or an address, as it was typed. Out: whether only this machine can be reached there.
"""

import ipaddress


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine to itself: `localhost`, or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
