"""Programs that show a changed fact and need no bnmatrix.

`program` writes them, `trial` runs them on both sides, `handing` finds the one for a changed condition. What
a framework's part of a program looks like is in `of_torch`, `of_keras`, `of_graphs` and their tables; how a
fact is read off in `readings`, for every framework alike.
"""
