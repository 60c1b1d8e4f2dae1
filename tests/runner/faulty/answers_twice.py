"""Answers the cell `trouble` twice."""

from helper import answer, serve


def fault(request):
    answer(request)
    answer(request)


serve(fault)
