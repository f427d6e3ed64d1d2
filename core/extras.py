"""How cbir's extras are installed, as messages say it where one is missing."""


def to_install(extra: str) -> str:
    """Return what to type for an extra, and where: cbir is installed from its folder."""
    return f"pip install '.[{extra}]' in cbir's folder"
