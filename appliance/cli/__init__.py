"""The commands of `pillarbox`: parsing, questions, output; requests go to the running server or a data directory."""
