"""Runs a command in a terminal of its own, and says what somebody who sits before it sees.

The request names the size, the command, and the steps: {"until": TEXT} waits until the screen shows a text,
{"type": KEYS} types, {"signal": NAME} sends a signal, {"resize": [ROWS, COLUMNS]} makes the window another size.
The answer has the screen after each step, the exit code, and how the terminal was left.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE_S = 60
# A sequence that moves the cursor or changes a mode, a character that moves it, or text.
TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()78=>].?|([\r\n\b])|([^\x1b])", re.S)


class Screen:
    """As much of a terminal as programs that draw need."""

    def __init__(self, rows, columns, answer):
        # What it says to the program when it is asked.
        self.answer = answer
        self.resize(rows, columns)
        self.modes = {"1049": False, "25": True}
        self.coloured = False

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.clear()

    def clear(self):
        self.cells = [[" "] * self.columns for _ in range(self.rows)]
        self.row = self.column = 0

    def take(self, text):
        for parameters, final, move, letter in TOKEN.findall(text):
            if letter:
                self.put(letter)
            elif move == "\n":
                self.row += 1
                if self.row == self.rows:
                    self.cells = self.cells[1:] + [[" "] * self.columns]
                    self.row -= 1
            elif move == "\r":
                self.column = 0
            elif final == "H":
                at = [int(part or 1) for part in (parameters or "1;1").split(";")]
                self.row, self.column = min(at[0], self.rows) - 1, min(at[1], self.columns) - 1
            elif final == "n" and parameters == "6":
                self.answer(f"\x1b[{self.row + 1};{self.column + 1}R")
            elif final == "J":
                self.clear()
            elif final in "hl" and parameters.startswith("?"):
                self.switch(parameters[1:], final == "h")
            elif final == "m":
                colours = re.findall(r"(?:^|;)(?:3[0-8]|4[0-8]|9[0-7])(?=;|$)", parameters)
                self.coloured |= bool(colours)

    def switch(self, mode, on):
        if mode == "1049" and on != self.modes.get(mode):
            # The other screen, which begins empty; what was on this one is there again afterwards.
            if on:
                self.main = (self.cells, self.row, self.column)
                self.clear()
            else:
                self.cells, self.row, self.column = self.main
        self.modes[mode] = on

    def put(self, letter):
        if self.column < self.columns:
            self.cells[self.row][self.column] = letter
        self.column += 1

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip() + "\n"


def set_size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main():
    request = json.loads(sys.argv[1])
    rows, columns = request["size"]
    outside, inside = pty.openpty()
    set_size(inside, rows, columns)
    before = termios.tcgetattr(inside)
    screen = Screen(rows, columns, lambda text: os.write(outside, text.encode()))

    def take_the_terminal():
        os.setsid()
        fcntl.ioctl(inside, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        request["command"], stdin=inside, stdout=inside, stderr=inside, preexec_fn=take_the_terminal
    )
    pending = b""

    def read(seconds):
        nonlocal pending
        if not select.select([outside], [], [], seconds)[0]:
            return
        pending += os.read(outside, 65536)
        # What is cut in the middle of a letter or of a sequence waits for its end.
        text = pending.decode(errors="ignore")
        whole = text[: text.rfind("\x1b")] if re.search(r"\x1b(\[[?0-9;]*)?$", text) else text
        pending = pending[len(whole.encode()) :]
        screen.take(whole)

    def wait(condition, what):
        begin = time.monotonic()
        while not condition():
            if time.monotonic() - begin > PATIENCE_S:
                process.kill()
                sys.exit(f"waited {PATIENCE_S} s in vain for {what}; the screen:\n{screen.text()}")
            read(0.1)

    screens = []
    for step in request["steps"]:
        if "until" in step:
            wait(lambda: step["until"] in screen.text(), step["until"])
        elif "type" in step:
            os.write(outside, step["type"].encode())
        elif "signal" in step:
            process.send_signal(getattr(signal, "SIG" + step["signal"]))
        elif "resize" in step:
            screen.resize(*step["resize"])
            set_size(inside, *step["resize"])
            process.send_signal(signal.SIGWINCH)
        screens.append(screen.text())
    wait(lambda: process.poll() is not None, "its end")
    read(0.2)
    answer = {
        "code": process.returncode,
        "screens": screens,
        "last": screen.text(),
        "coloured": screen.coloured,
        "restored": termios.tcgetattr(inside) == before,
        "main_screen": not screen.modes["1049"],
        "cursor": screen.modes["25"],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
