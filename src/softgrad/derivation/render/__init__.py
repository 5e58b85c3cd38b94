"""The same derivation as terminal text, Markdown, LaTeX and HTML."""
