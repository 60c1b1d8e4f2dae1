"""The guest side: runs in the target's own interpreter (Python 3.6 on, numpy, one framework).

Nothing here imports the rest of bnmatrix, and nothing there imports this package: it is started
by path (``__main__.py``) under the private name ``_bnmatrix_probe``.
"""
