"""Build of the flashable image from Debian's arm64 packages and the locked wheels; nothing built here is executed here."""
