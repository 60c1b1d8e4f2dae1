"""No fault."""

from helper import answer, serve

serve(answer)
