"""The ordered list of ESMTP extensions, as EHLO names them: one line each."""

from ..extension import SmtpExtension
from . import (
    auth,
    binarymime,
    chunking,
    dsn,
    eightbitmime,
    enhanced_status,
    futurerelease,
    help,
    limits,
    pipelining,
    requiretls,
    size,
    smtputf8,
    starttls,
)

EXTENSIONS: tuple[SmtpExtension, ...] = (
    pipelining.EXTENSION,
    size.EXTENSION,
    eightbitmime.EXTENSION,
    starttls.EXTENSION,
    auth.EXTENSION,
    enhanced_status.EXTENSION,
    smtputf8.EXTENSION,
    chunking.EXTENSION,
    binarymime.EXTENSION,
    dsn.EXTENSION,
    requiretls.EXTENSION,
    futurerelease.EXTENSION,
    limits.EXTENSION,
    help.EXTENSION,
)
