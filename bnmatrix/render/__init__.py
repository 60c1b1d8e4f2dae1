"""Pages and files of a matrix or a difference: one module a format, all over the same structs.

`folding` and `wording` hold what the formats share, as plain data and plain text.
"""

FORMATS = ("table", "json", "csv", "markdown")
