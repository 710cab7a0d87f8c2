"""The operating system around the server: settings from the boot partition, installation and removal on a stock Debian."""
