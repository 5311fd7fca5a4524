"""A process that is measured: wall time, CPU and peak memory by the operating system's own accounting (wait4)."""

import os
import pathlib
import platform
import select
import signal
import socket
import subprocess
import sys
import time
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What a finished process has used, its finished children included."""

    wall: float
    cpu: float
    peak_mb: float
    status: int


class Running:
    """A child process, killed when this one dies, however it dies."""

    def __init__(self, command, env, log):
        self.log = pathlib.Path(log)
        with open(self.log, "a") as out:
            self.begin = time.monotonic()
            # setpriv becomes the command: same pid, and nothing of it is left in the figures.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.log.parent,
            )
        self.handle = os.pidfd_open(self.process.pid)
        self.usage = None

    def cpu(self):
        """CPU seconds so far, in hundredths."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def wait(self, seconds=None):
        """Waits for the end, or so long; None if it still runs then."""
        if self.usage is None and select.select([self.handle], [], [], seconds)[0]:
            _, status, usage = os.wait4(self.process.pid, 0)
            wall = time.monotonic() - self.begin
            self.process.returncode = os.waitstatus_to_exitcode(status)
            os.close(self.handle)
            cpu = usage.ru_utime + usage.ru_stime
            self.usage = Usage(wall, cpu, usage.ru_maxrss / 1024, self.process.returncode)
        return self.usage

    def end(self, how=signal.SIGKILL):
        """Sends a signal, unless it has ended, and waits."""
        if self.usage is None:
            self.process.send_signal(how)
        return self.wait()

    def tail(self):
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-4000:]


def measure(command, env, log):
    """Runs a command to its end; returns wall seconds, CPU seconds and peak MB."""
    running = Running(command, env, log)
    usage = running.wait()
    if usage.status != 0:
        sys.exit(f"{command} failed:\n{running.tail()}")
    return usage[:3]


def tidy_when_told_to_stop():
    """SIGTERM ends a bench as an exception does: children are killed and temporary folders go."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def free_ports(count):
    """So many ports on loopback that nobody has now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def machine():
    """This machine in a few words: cores and memory."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{os.cpu_count()} × {cpu}, {memory / 2**30:.0f} GB"
