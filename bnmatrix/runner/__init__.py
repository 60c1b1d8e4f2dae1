"""Start and supervise probes, hand them cells, collect observations.

A probe is a child process in the target's own interpreter. It may do anything: print, hang, die,
lie. Here is what it should do, step by step, what can go wrong there instead, what then becomes of
the cell, and how often it is tried again.

1.  **It starts**: the interpreter is run isolated, in folders of its own, as leader of a session.
    *The interpreter cannot be run; it ends before it said anything.* -> `ProbeFailed` with the
    last line of stderr and the exit status or signal. Not tried again: it would fail again.

2.  **It greets**: one `hello` with the protocol version, once the framework is imported.
    *A package is missing, or the device is absent* (it answers `failed`), *it says nothing for
    `start_timeout` seconds, speaks another protocol version, or writes what is no message.*
    -> `ProbeFailed`, which tells these apart. Not tried again.

    When a target cannot be started, all its cells are `crashed` with that reason. A probe that is to
    replace a dead one and does not start is a death like those below.

3.  **It answers** its cells in order, one observation each. An exception that the framework raises
    is an answer (`raised`), and so is `unavailable`. Instead,
    *it dies*, by a signal or by exiting, with or without closing its channel first;
    *it lies*: what it writes is no message, an observation of another shape, a line without end, or
    the answer to another cell; it is then killed, for nothing it says from there on can be trusted;
    *it fails* with an exception outside the experiment, which it still tells.
    -> The cell that was running is tried once more, first thing in a fresh probe. If that ends the
    same way it is `crashed`, with the reason of the second time. The cells behind it are not to
    blame: they go back to the queue.
    *It takes longer than `timeout` seconds* -> it is killed with all its children, the cell is
    `timed_out`. Not tried again: that would cost as long again.

4.  **It goes on** in the same or in a fresh probe. It is replaced when it grew too much, or where
    all that waits is to be measured in a fresh one. Fresh probes for these and for a second try are free; of
    others (after a cell was given up, after a death between cells, after a failed restart) there
    are `restarts` for a target between one answer and the next. When they are used up, what is
    outstanding is `crashed`: "the probe died too often".

5.  **It ends** when it is killed (SIGKILL to its process group, at once: it has nothing to save),
    on `close`, at the exit of the program, on Ctrl-C and on SIGTERM. Should this program be killed
    outright, the probe's channel closes and it ends itself with its children.

What it prints on stdout and stderr is read and thrown away but for the last 64 KB, so that it can
neither block nor fill memory. Where memory runs out, Linux kills the probe first (it asks for that).

Who does what: `Runner` keeps a queue for each target and decides where probes run (`schedule`); a
`supervisor` thread for each probe feeds it and reads its answers over `process`; the consumer
takes events off one queue. Work (`Guest` and `Request`) is plain data, picklable, and knows nothing
of where it runs.
"""

from bnmatrix.runner.runner import Runner
from bnmatrix.runner.work import Answer, Event, Greeting, Guest, Outcome, ProbeFailed, Request

__all__ = ["Answer", "Event", "Greeting", "Guest", "Outcome", "ProbeFailed", "Request", "Runner"]
