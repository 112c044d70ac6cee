"""Databases that are written to until they are killed: `databases.py delete|wal|duckdb write|check ROWS`.

`write` commits a row at a time for ever and says so after each; `check` lets the database look itself over, and finds
every row that was said to be there.
"""

import sqlite3
import sys

PAYLOAD = "x" * 500


def sqlite(mode):
    database = sqlite3.connect(f"{mode}.db", isolation_level=None, timeout=60)
    found = database.execute(f"PRAGMA journal_mode={mode}").fetchone()[0]
    assert found == mode, f"journal mode {found}"
    # Pages leave memory early, so that a transaction is half in the file when its writer is killed.
    database.execute("PRAGMA cache_size=2")
    return database


def write_sqlite(mode):
    database = sqlite(mode)
    database.execute("CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY, twice INTEGER, payload TEXT)")
    database.execute("CREATE INDEX IF NOT EXISTS by_twice ON log(twice)")
    first = database.execute("SELECT coalesce(max(id), 0) + 1 FROM log").fetchone()[0]
    for id in range(first, sys.maxsize):
        database.execute("BEGIN")
        database.execute("INSERT INTO log VALUES (?, ?, ?)", (id, -1, PAYLOAD))
        # Touches many pages, and is undone by the next statement: a torn transaction shows in the sums.
        database.execute("UPDATE log SET twice = twice + 1 WHERE id % 7 = ?", (id % 7,))
        database.execute("UPDATE log SET twice = 2 * id")
        database.execute("COMMIT")
        print(id, flush=True)


def check_sqlite(mode, rows):
    database = sqlite(mode)
    assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    count, last, wrong = database.execute("SELECT count(*), max(id), sum(twice <> 2 * id) FROM log").fetchone()
    assert count == last and wrong == 0, f"{count} rows, the last one {last}, {wrong} of them half written"
    assert count >= rows, f"{count} rows, and {rows} were committed"
    database.close()


def write_duckdb():
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("ATTACH 'duck.db' AS duck")
        connection.execute("CREATE TABLE IF NOT EXISTS duck.log(id INTEGER PRIMARY KEY, payload TEXT)")
        first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM duck.log").fetchall()[0][0]
        for id in range(first, sys.maxsize):
            connection.execute("INSERT INTO duck.log VALUES (?, ?)", (id, PAYLOAD))
            if id % 10 == 0:
                connection.execute("CHECKPOINT duck")
            print(id, flush=True)


def check_duckdb(rows):
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("ATTACH 'duck.db' AS duck (READ_ONLY)")
        count, last, length = connection.execute("SELECT count(*), max(id), sum(length(payload)) FROM duck.log").fetchall()[0]
        assert count == last and length == count * len(PAYLOAD), f"{count} rows, the last one {last}"
        assert count >= rows, f"{count} rows, and {rows} were committed"
        connection.execute("DETACH duck")


kind, deed, *rest = sys.argv[1:]
if kind == "duckdb":
    write_duckdb() if deed == "write" else check_duckdb(int(rest[0]))
else:
    write_sqlite(kind) if deed == "write" else check_sqlite(kind, int(rest[0]))
