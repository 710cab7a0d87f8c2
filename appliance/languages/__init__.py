"""What people read, in their language: gettext catalogues, one file for each language.

- English texts stand in the code, whole sentences with named values; they are the keys (msgid). `de.po` and its like are the sources
  of the other languages; `make catalogues` adds what is new in the code and takes out what is gone.
- Packaging compiles each NAME.po to NAME.mo, and what the scripts of pages need to NAME.json (`translations`).
  A language is one file more; its own name stands in the header, X-Language-Name.
- Conditions, remedies, refusals and outcomes travel as `mail/sentence.Sentence`, key and values, and are worded at the edge: a page in
  the language of its session, a command by LANGUAGE, LC_ALL, LC_MESSAGES and LANG.
- Nothing is loaded for English, and a catalogue when it is first asked for.
- German says "du", in short sentences and common words.
"""
