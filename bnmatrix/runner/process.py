"""One probe process: started, read from, written to, and ended with all its children.

One thread, the supervisor's, waits here for everything at once: lines on the channel, prints on
stdout and stderr, and a nudge from another thread. Nothing blocks: what the probe does not read
stays in a buffer here.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from bnmatrix.runner.surroundings import environment_of, make_folders
from bnmatrix.runner.work import Guest

PROBE = Path(__file__).resolve().parent.parent / "probe" / "__main__.py"

LONGEST_LINE = 64 * 2**20
"""Bytes of a message. An observation has some tens of kilobytes."""

KEPT_OUTPUT = 64 * 2**10
"""Bytes kept of stdout and of stderr."""

PAGE = os.sysconf("SC_PAGE_SIZE")

GRACE = 0.5
"""Seconds for a probe that closed its channel to end by itself, so that we learn how."""


class Fault(Exception):
    """The probe died or lied. Says how, as a clause: "killed by signal 11 (SIGSEGV)"."""


class TooSlow(Exception):
    """The deadline passed without a line."""


class Process:
    """A probe for `guest`, started by the constructor (or OSError) in folders below the new path `root`."""

    def __init__(self, guest: Guest, root: Path) -> None:
        self._root = root
        self._ending = threading.Lock()
        self._open: list[int] = []
        self._line = bytearray()  # of the channel, not yet a whole line
        self._searched = 0
        self._unsent = bytearray()
        self._ended = False
        self._selector = selectors.DefaultSelector()
        try:
            theirs_in, self._outgoing = self._pipe()
            self._incoming, theirs_out = self._pipe()
            self._nudged, self._nudge = self._pipe()
            # A relative path is meant from here, not from the probe's own working directory.
            python = os.path.abspath(guest.python) if os.sep in guest.python else guest.python
            command = guest.program or (python, "-I", str(PROBE))
            work, folders = make_folders(root)
            arguments = [str(theirs_in), str(theirs_out), guest.framework, guest.backend or "-", guest.device]
            self.popen = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=os.getcwd() if guest.as_user else work,
                env=environment_of(guest, folders, os.environ),
                pass_fds=(theirs_in, theirs_out),
                start_new_session=True,
            )
        except BaseException:
            self._release()
            raise
        self._close(theirs_in, theirs_out)
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self._printed = {self.popen.stdout.fileno(): bytearray(), self.popen.stderr.fileno(): bytearray()}
        for descriptor in (self._incoming, self._nudged, *self._printed):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ)
        os.set_blocking(self._outgoing, False)
        os.set_blocking(self._nudge, False)

    def nudge(self) -> None:
        """Have `read` return None; from any thread."""
        with self._ending, contextlib.suppress(BlockingIOError):
            if not self._ended:
                os.write(self._nudge, b".")

    def write(self, line: bytes) -> None:
        """Send a line, at once or as soon as the probe reads."""
        self._unsent += line
        self._flush()

    def read(self, deadline: float | None) -> bytes | None:
        """The next line, or None after a nudge. Raises Fault, or TooSlow at the monotonic time `deadline`."""
        while True:
            line = self._next_line()
            if line is not None:
                return line
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = {key.fd for key, _ in self._selector.select(wait)}
            for descriptor in ready & self._printed.keys():
                self._drain(descriptor)
            if self._outgoing in ready:
                self._flush()
            if self._incoming in ready:
                self._fetch()
                line = self._next_line()
                if line is not None:
                    return line
            if self._nudged in ready:
                os.read(self._nudged, 4096)
                return None
            # After reading: this program itself may have been stopped (Ctrl-Z) while the probe was not.
            if deadline is not None and time.monotonic() >= deadline:
                if self.popen.poll() is not None:  # a child of its still holds the channel
                    raise Fault(self._how_it_ended())
                raise TooSlow

    def size(self) -> int:
        """Bytes of memory it occupies; 0 where the system does not tell."""
        try:
            with open(f"/proc/{self.popen.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * PAGE
        except (OSError, IndexError, ValueError):  # no Linux, or it has just died
            return 0

    def printed(self) -> str:
        """The last of stdout, then of stderr."""
        return "".join(text.decode("utf-8", "replace") for text in self._printed.values())

    def kill(self) -> None:
        """Kill the probe with its children; from any thread, as often as one likes."""
        with self._ending:
            if not self._ended:
                # Its number is still its own: it is reaped no earlier than moments before `end`.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.popen.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the probe with its children, wait for it, and take away its folders."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(10)  # in vain only where the kernel itself hangs
        self._release()
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        self._open.extend(ends)
        return ends

    def _close(self, *descriptors: int) -> None:
        for descriptor in descriptors:
            self._open.remove(descriptor)
            os.close(descriptor)

    def _release(self) -> None:
        with self._ending:
            self._ended = True
            self._selector.close()
            self._close(*self._open)
        shutil.rmtree(self._root, ignore_errors=True)

    def _next_line(self) -> bytes | None:
        end = self._line.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._line)
            if len(self._line) > LONGEST_LINE:
                raise Fault(f"answered a line of more than {LONGEST_LINE // 2**20} MB")
            return None
        line = bytes(self._line[:end])
        del self._line[: end + 1]
        self._searched = 0
        return line

    def _fetch(self) -> None:
        try:
            data = os.read(self._incoming, 2**20)
        except BlockingIOError:
            return
        if not data:
            raise Fault(self._how_it_ended())
        self._line += data

    def _drain(self, descriptor: int) -> bool:
        """Take what was printed; False where there is nothing more now."""
        try:
            data = os.read(descriptor, 2**20)
        except BlockingIOError:
            return False
        if not data:
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
            return False
        kept = self._printed[descriptor]
        kept += data
        if len(kept) > 2 * KEPT_OUTPUT:  # now and then, not for every byte
            del kept[:-KEPT_OUTPUT]
        return True

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._outgoing, self._unsent)]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # it no longer reads: what it still says, or how it ended, tells more
            self._unsent.clear()
        watched = self._outgoing in self._selector.get_map()
        if self._unsent and not watched:
            self._selector.register(self._outgoing, selectors.EVENT_WRITE)
        elif watched and not self._unsent:
            self._selector.unregister(self._outgoing)

    def _how_it_ended(self) -> str:
        """Exit status or signal, and the last line of stderr, of a probe whose channel closed."""
        try:
            status = self.popen.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "closed its channel and went on running"
        _, errors = self._printed
        for _attempt in range(64):  # what the pipe still holds; a child of its may go on printing
            if not self._drain(errors):
                break
        lines = self._printed[errors].decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if status < 0:
            how = f"killed by signal {-status} ({_signal_name(-status)})"
            # The others tell enough, and what stands last on stderr then is unrelated noise.
            return f"{how}: {last[:300]}" if -status == signal.SIGABRT and last else how
        return f"exited with status {status}" + (f": {last[:300]}" if last else "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"
