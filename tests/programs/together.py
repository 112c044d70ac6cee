"""Processes that work together in the current folder: `together.py DEED [ARGUMENT]`. Each deed ends with exit code 0 when
all was as on a local disk."""

import fcntl
import mmap
import os
import signal
import struct
import sys

PROCESSES = 64
ROUNDS = 20


def child(work):
    """Runs `work` in a process of its own; gives its pid."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def succeeded(pid):
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"process {pid}: {status}"


def refused(lock, *arguments):
    try:
        lock(*arguments)
    except BlockingIOError:
        return True
    return False


def flock():
    """flock(2): exclusive against all, shared among each other, gone with their process."""
    held, free = os.pipe(), os.pipe()
    file = os.open("lock", os.O_RDWR | os.O_CREAT)

    def holder():
        mine = os.open("lock", os.O_RDWR)
        fcntl.flock(mine, fcntl.LOCK_EX)
        os.write(held[1], b"x")
        os.read(free[0], 1)
        signal.pause()

    pid = child(holder)
    os.read(held[0], 1)
    assert refused(fcntl.flock, file, fcntl.LOCK_SH | fcntl.LOCK_NB), "while another holds it"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def sharer():
        mine = os.open("lock", os.O_RDWR)
        fcntl.flock(mine, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert refused(fcntl.flock, mine, fcntl.LOCK_EX | fcntl.LOCK_NB), "while another shares it"

    succeeded(child(sharer))


def fcntl_ranges():
    """fcntl(2): ranges exclude each other where they overlap, a waiter gets its turn, death gives all back."""
    held = os.pipe()
    file = os.open("ranges", os.O_RDWR | os.O_CREAT)

    def holder():
        mine = os.open("ranges", os.O_RDWR)
        fcntl.lockf(mine, fcntl.LOCK_EX, 100, 100)
        os.write(held[1], b"x")
        signal.pause()

    pid = child(holder)
    os.read(held[0], 1)
    nonblocking = fcntl.LOCK_EX | fcntl.LOCK_NB
    fcntl.lockf(file, nonblocking, 100, 0)
    fcntl.lockf(file, nonblocking, 100, 200)
    assert refused(fcntl.lockf, file, nonblocking, 1, 150), "inside the other's range"
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    _, _, start, length, owner = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))
    assert (start, length, owner) == (100, 100, pid), f"F_GETLK tells {(start, length, owner)}"

    def waiter():
        mine = os.open("ranges", os.O_RDWR)
        os.write(held[1], b"y")
        fcntl.lockf(mine, fcntl.LOCK_EX, 1, 150)

    waiting = child(waiter)
    os.read(held[0], 1)
    assert os.waitpid(waiting, os.WNOHANG) == (0, 0), "it waits"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    succeeded(waiting)
    fcntl.lockf(file, nonblocking, 0, 0)


def counted():
    """Every process adds to one number under a lock; none is lost, by read and write or by shared memory."""
    with open("count", "wb") as file:
        file.write(bytes(16))

    def adder(by):
        with open("count", "r+b") as file, mmap.mmap(file.fileno(), 16) as memory:
            for _ in range(ROUNDS):
                fcntl.lockf(file, fcntl.LOCK_EX)
                if by == 0:
                    number = int.from_bytes(os.pread(file.fileno(), 8, 0), "little")
                    os.pwrite(file.fileno(), (number + 1).to_bytes(8, "little"), 0)
                else:
                    memory[8:16] = (int.from_bytes(memory[8:16], "little") + 1).to_bytes(8, "little")
                fcntl.lockf(file, fcntl.LOCK_UN)

    for pid in [child(lambda: adder(n % 2)) for n in range(16)]:
        succeeded(pid)
    with open("count", "rb") as file:
        assert struct.unpack("<QQ", file.read()) == (8 * ROUNDS, 8 * ROUNDS)


def shared_memory():
    """MAP_SHARED: what one process writes the other sees, also by read(2); and the other way round."""
    to, back = os.pipe(), os.pipe()
    size = 3 * mmap.PAGESIZE + 100
    with open("shared", "wb") as file:
        file.truncate(size)

    def other():
        with open("shared", "r+b") as file, mmap.mmap(file.fileno(), size) as memory:
            for turn in range(1, ROUNDS):
                assert os.read(to[0], 1)[0] == turn
                assert memory[0] == turn and memory[-1] == turn, "another's memory"
                assert os.pread(file.fileno(), 1, size - 1)[0] == turn, "by read(2)"
                os.pwrite(file.fileno(), bytes([100 + turn]), mmap.PAGESIZE)
                os.write(back[1], bytes([turn]))

    pid = child(other)
    with open("shared", "r+b") as file, mmap.mmap(file.fileno(), size) as memory:
        for turn in range(1, ROUNDS):
            memory[0] = memory[size - 1] = turn
            os.write(to[1], bytes([turn]))
            assert os.read(back[0], 1)[0] == turn
            assert memory[mmap.PAGESIZE] == 100 + turn, "what another wrote by write(2)"
    succeeded(pid)
    check_shared_memory()


def check_shared_memory():
    with open("shared", "rb") as file:
        data = file.read()
    last = ROUNDS - 1
    assert (data[0], data[-1], data[mmap.PAGESIZE]) == (last, last, 100 + last)
    assert len(data) == 3 * mmap.PAGESIZE + 100 and sum(map(bool, data)) == 3


def crowd():
    """Many processes make, rename, link, replace, remove and list in one folder."""
    os.makedirs("crowd", exist_ok=True)

    def one(number):
        os.chdir("crowd")
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for turn in range(ROUNDS):
            name = f"{number}-{turn}"
            with open(f"{name}.tmp", "x") as file:
                file.write(name)
            os.rename(f"{name}.tmp", name)
            os.link(name, f"{name}.link")
            os.replace(f"{name}.link", f"link-{number}")
            # A rename of one name over another of the same file does nothing.
            if os.path.lexists(f"{name}.link"):
                os.unlink(f"{name}.link")
            assert name in os.listdir("."), "what was just made is listed"
            assert open(name).read() == name and os.stat(name).st_nlink == 2
            os.write(log, f"{name}\n".encode())
            if turn % 2:
                os.unlink(name)
            try:
                os.mkdir(f"dir-{turn}")
            except FileExistsError:
                pass

    for pid in [child(lambda: one(number)) for number in range(PROCESSES)]:
        succeeded(pid)
    check_crowd()


def check_crowd():
    names = set(os.listdir("crowd"))
    kept = {f"{number}-{turn}" for number in range(PROCESSES) for turn in range(0, ROUNDS, 2)}
    links = {f"link-{number}" for number in range(PROCESSES)}
    assert names == kept | links | {f"dir-{turn}" for turn in range(ROUNDS)} | {"log"}, names ^ kept ^ links
    assert all(open(f"crowd/{name}").read() == name for name in kept)
    assert all(os.stat(f"crowd/{name}").st_nlink == 1 for name in kept | links)
    logged = open("crowd/log").read().splitlines()
    assert sorted(logged) == sorted(f"{n}-{t}" for n in range(PROCESSES) for t in range(ROUNDS)), "no line is torn or lost"


{deed.__name__: deed for deed in [flock, fcntl_ranges, counted, shared_memory, check_shared_memory, crowd, check_crowd]}[
    sys.argv[1]
]()
