"""What a kernel needs while it lives: the cache of emitted modules, the helper module, the flags of a session.

The files of this folder are imported one by one; this page imports none of them.
"""
