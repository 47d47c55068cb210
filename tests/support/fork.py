"""Ask a loaded Python (loaded_server.py) for a fork that runs a command.

Run as `python -I -S fork.py SOCKET WORD...`, this process acts for the fork: it lends its
descriptors, passes signals on, and ends as the fork ends. Starting it costs 17 ms of CPU, so it
imports nothing that a bare Python lacks.
"""

import _signal
import _socket
import marshal
import os
import sys

_LENT = range(4)
PASSED_ON = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)
ANEW = b"anew"


def ask(
    place: str,
    words: list[str],
    folder: str,
    environment: dict[str, str],
    descriptors: dict[int, int],
) -> _socket.socket:
    """Return the channel to a new fork that runs `words`: a script, or `-m` and a module.

    `descriptors` are numbers in the fork and numbers here. The fork takes signals as single bytes,
    and is killed when the channel is closed.
    """
    ignored = [number for number in PASSED_ON if _signal.getsignal(number) == _signal.SIG_IGN]
    asked = marshal.dumps((words, folder, environment, list(descriptors), ignored))
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    channel.connect(place)
    numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in descriptors.values())
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)
    channel.sendmsg([len(asked).to_bytes(8, "big")], [rights])
    channel.sendall(asked)
    return channel


def status(channel: _socket.socket) -> int | None:
    """Wait for a fork's end; return its exit status, below 0 for a signal.

    Returns None if the loaded Python cannot do the same as a new Python. Raises EOFError if the
    loaded Python has ended.
    """
    told = channel.recv(64)
    if not told:
        raise EOFError("the loaded Python is gone")
    return None if told == ANEW else int(told)


def read_at_start(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment variables that Python reads only when it starts."""
    return {name: value for name, value in environment.items() if name.startswith("PYTHON")}


def main() -> None:
    place, *words = sys.argv[1:]
    lent = {number: number for number in _LENT if _is_open(number)}
    if words[:1] == ["-m"] or (words and not words[0].startswith("-")):
        channel = ask(place, words, os.getcwd(), dict(os.environ), lent)
        for number in PASSED_ON:
            if _signal.getsignal(number) != _signal.SIG_IGN:
                _signal.signal(number, lambda number, _: channel.sendall(bytes([number])))
        if (code := status(channel)) is not None:
            if code >= 0:
                os._exit(code)
            if -code != _signal.SIGKILL:
                _signal.signal(-code, _signal.SIG_DFL)
            os.kill(os.getpid(), -code)
    os.execv(sys.executable, [sys.executable, *words])


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
