"""Reverse and forward mode on terms; derivatives are closed in the language."""
