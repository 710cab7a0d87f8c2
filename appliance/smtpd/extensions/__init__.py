"""ESMTP extensions, one file each."""
