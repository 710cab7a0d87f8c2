"""Characters that do not belong into a line of ours when they come from others; `plain` of webmail's dom.js replaces the same."""

TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Those that change the direction of what stands around them (UAX #9 §2), as ranges for a regular expression: "gpj.exe" is read as
"exe.jpg" behind one."""
UNPLAIN = f"\x00-\x1f\x7f-\x9f\u2028\u2029{TURNING}"
"""Control characters and line separators as well."""
