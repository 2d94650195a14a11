"""Makes internal/carrier/openings.bin of what `shape` has captured: how connections of chat pages begin. Sites by another
seed than those that classify.py is then asked about."""

import json
import math
import struct
import sys

STEPS = 24  # of a connection
SITES, PER_SITE = 48, 2
LATE = 60  # milliseconds that a person takes, or another's message, and no program
TRIP = 90  # milliseconds to the server and back, of most
SPLIT = 4120  # what nginx cuts longer messages into
DOWN, PAUSE, PAUSES = 1 << 15, 1 << 12, 8
MOST_SAID = 4000


def kind(connection):
    """The group without the number of its site."""
    return connection["group"].rsplit(" ", 1)[0]


def is_learned(connection):
    """Whether openings.bin is of such kinds: those of other people's libraries are left out of it."""
    return not kind(connection).endswith("(library)")


def messages(records):
    """Records as messages: direction, length, gap."""
    whole = []
    for n, gap in records:
        down, size = n > 0, int(abs(n))
        if whole and whole[-1][3] == SPLIT and down and whole[-1][0] and gap < 1:
            whole[-1][1] += size
            whole[-1][3] = size
            continue
        whole.append([down, size, gap, size])
    return whole


def pause(gap):
    """How often LATE doubles until gap, and one; 0 if it is less."""
    return 0 if gap < LATE else min(PAUSES - 1, 1 + int(math.log2(gap / LATE)))


def step(down, size, gap, answers):
    payload = size - 24 - (0 if down else 4)
    payload -= 2 if payload <= 127 else 4
    return (DOWN if down else 0) | (PAUSE * pause(gap - TRIP if answers else gap)) | max(3, min(payload, MOST_SAID))


def main():
    sites = {}
    with open(sys.argv[1]) as lines:
        for c in map(json.loads, lines):
            if c["class"] == "chat" and is_learned(c) and c["records"] and len(c["records"]) >= STEPS // 2:
                sites.setdefault(c["group"], []).append(c["records"])
    sites = {name: all for name, all in sites.items() if len(all) >= PER_SITE}
    kept = sorted(sites, key=lambda name: int(name.split()[-1]))[:SITES]
    with open(sys.argv[2], "wb") as out:
        for name in kept:
            for records in sites[name][:PER_SITE]:
                said = messages(records)[:STEPS]
                answers = [False] + [b[0] and not a[0] for a, b in zip(said, said[1:])]
                steps = [step(*m[:3], answer) for m, answer in zip(said, answers)]
                out.write(bytes([len(steps)]) + struct.pack(f">{len(steps)}H", *steps))


if __name__ == "__main__":
    main()
