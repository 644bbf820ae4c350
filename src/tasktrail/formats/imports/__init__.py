"""Plans of other tools, read as ours. Each tool has a file; `detect` says which one wrote a file or folder."""
