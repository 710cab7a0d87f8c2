"""BINARYMIME: messages whose CR and LF are octets like any other, by BDAT only (RFC 3030 §3). BODY is read in `eightbitmime`."""

from ..extension import SmtpExtension

EXTENSION = SmtpExtension("BINARYMIME", "RFC 3030", keyword=lambda session: "BINARYMIME")
