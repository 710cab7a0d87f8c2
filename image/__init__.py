"""The image for Raspberry Pi: `python -m image` builds it (see image/README.md)."""
