"""What a saved position stands for, read by the rules of the servers' manuals and by no code of ours.

It judges what came again after a crash: that must not have been saved.
"""


def has(position, source):
    """Whether the event of a source block lies at or before a saved position of the same server."""
    if hasattr(position, "lsn"):
        return _lsn(source["lsn"]) < position.lsn  # a position is the end of a commit record, an event has its start
    if position.gtid_set and source.get("gtid"):
        one_of = _is_in_mariadb if position.flavor == "mariadb" else _is_in_mysql
        return one_of(source["gtid"], position.gtid_set)
    return (source["file"], int(source["pos"])) <= (position.file, position.pos)


def _lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def _is_in_mysql(gtid, gtid_set):
    """``uuid:7`` or ``uuid:tag:7`` in ``uuid:1-5:7:tag:1-3,…``."""
    *name, number = gtid.lower().split(":")
    for part in gtid_set.lower().replace("\n", "").split(","):
        uuid, *rest = part.strip().split(":")
        tag = []
        for word in rest:
            first, _, last = word.partition("-")
            if not first.isdigit():
                tag = [word]
            elif [uuid, *tag] == name and int(first) <= int(number) <= int(last or first):
                return True
    return False


def _is_in_mariadb(gtid, gtid_set):
    """``0-1-7`` at or before the last of its domain in ``0-1-9,1-1-3``."""
    domain, _, number = gtid.split("-")
    last = {part.split("-")[0].strip(): int(part.split("-")[2]) for part in gtid_set.split(",")}
    return domain in last and int(number) <= last[domain]
