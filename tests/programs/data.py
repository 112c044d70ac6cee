"""One data library's day in the current folder: `data.py LIBRARY write|check|change|check-changed`."""

import datetime
import pathlib
import sqlite3
import sys

ROWS = 50_000
REGIONS = ["north", "south", "east", "west"]


def columns():
    """The same table for every library, as plain lists."""
    start = datetime.date(2026, 1, 1)
    return {
        "id": list(range(ROWS)),
        "region": [REGIONS[i % 4] for i in range(ROWS)],
        "day": [start + datetime.timedelta(days=i % 365) for i in range(ROWS)],
        "amount": [((i * 7919) % 100_000) / 100 for i in range(ROWS)],
    }


TOTAL = round(sum(columns()["amount"]), 2)
# A change adds one to the amount of every row of this region.
CHANGED_TOTAL = round(TOTAL + ROWS / 4, 2)


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, not {wanted!r}")


class Pandas:
    def write(self):
        import pandas as pd

        table = pd.DataFrame(columns())
        table.to_parquet("orders.parquet", index=False)
        table.to_parquet("by-region", partition_cols=["region"], index=False)
        table.to_csv("orders.csv", index=False)
        # Appending to a file that is there.
        table.head(10).to_csv("orders.csv", mode="a", header=False, index=False)

    def total(self):
        import pandas as pd

        expect("lines of CSV", len(pd.read_csv("orders.csv")), ROWS + 10)
        expect("rows of partitions", len(pd.read_parquet("by-region")), ROWS)
        return round(float(pd.read_parquet("orders.parquet").amount.sum()), 2)

    def change(self):
        import pandas as pd

        table = pd.read_parquet("orders.parquet")
        table.loc[table.region == "south", "amount"] += 1
        table.to_parquet("orders.parquet", index=False)


class Pyarrow:
    def write(self):
        import pyarrow as pa
        import pyarrow.dataset as ds

        ds.write_dataset(pa.table(columns()), "orders", format="parquet", partitioning=["region"])
        with pa.OSFile("orders.arrow", "wb") as file, pa.ipc.new_file(file, pa.table(columns()).schema) as out:
            out.write_table(pa.table(columns()))

    def total(self):
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        with pa.memory_map("orders.arrow") as file:
            expect("rows of a memory map", pa.ipc.open_file(file).read_all().num_rows, ROWS)
        table = ds.dataset("orders", format="parquet", partitioning=["region"]).to_table()
        return round(pc.sum(table["amount"]).as_py(), 2)

    def change(self):
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        for file in pathlib.Path("orders/south").iterdir():
            table = pq.read_table(file, partitioning=None)
            amount = pc.add(table["amount"], 1.0)
            pq.write_table(table.set_column(table.schema.get_field_index("amount"), "amount", amount), file)


class Polars:
    def write(self):
        import polars as pl

        pl.DataFrame(columns()).write_parquet("orders.parquet")
        pl.DataFrame(columns()).write_ipc("orders.arrow")

    def total(self):
        import polars as pl

        expect("rows of IPC", pl.read_ipc("orders.arrow").height, ROWS)
        return round(pl.scan_parquet("*.parquet").select(pl.col("amount").sum()).collect().item(), 2)

    def change(self):
        import polars as pl

        amount = pl.when(pl.col("region") == "south").then(pl.col("amount") + 1).otherwise(pl.col("amount"))
        pl.read_parquet("orders.parquet", memory_map=False).with_columns(amount).write_parquet("orders.parquet")


class Duckdb:
    MAKE = f"""SELECT i AS id, ['north', 'south', 'east', 'west'][i % 4 + 1] AS region,
        DATE '2026-01-01' + CAST(i % 365 AS INTEGER) AS day, ((i * 7919) % 100000) / 100 AS amount
        FROM range({ROWS}) t(i)"""

    def write(self):
        import duckdb

        duckdb.execute(f"COPY ({self.MAKE}) TO 'orders.parquet'")
        duckdb.execute(f"COPY ({self.MAKE}) TO 'by-region' (FORMAT parquet, PARTITION_BY region)")
        with duckdb.connect("orders.db") as database:
            database.execute(f"CREATE TABLE orders AS {self.MAKE}")
            database.execute("CREATE INDEX by_id ON orders(id)")

    def total(self):
        import duckdb

        one = lambda query: duckdb.execute(query).fetchall()[0][0]
        expect("rows of partitions", one("SELECT count(*) FROM 'by-region/*/*.parquet'"), ROWS)
        with duckdb.connect("orders.db", read_only=True) as database:
            stored = round(database.execute("SELECT sum(amount) FROM orders").fetchall()[0][0], 2)
        expect("the database and the file", stored, round(one("SELECT sum(amount) FROM 'orders.parquet'"), 2))
        return stored

    def change(self):
        import duckdb

        with duckdb.connect("orders.db") as database:
            database.execute("UPDATE orders SET amount = amount + 1 WHERE region = 'south'")
            database.execute("CHECKPOINT")
            database.execute("COPY orders TO 'orders.parquet'")


class Sqlite:
    MODES = ["delete", "wal"]

    def write(self):
        rows = [(i, r, str(d), a) for i, r, d, a in zip(*columns().values())]
        for mode in self.MODES:
            with sqlite3.connect(f"{mode}.db") as database:
                expect("journal mode", database.execute(f"PRAGMA journal_mode={mode}").fetchone()[0], mode)
                database.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY, region, day, amount REAL)")
                database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
                database.execute("CREATE INDEX by_region ON orders(region)")
            database.close()

    def total(self):
        totals = set()
        for mode in self.MODES:
            database = sqlite3.connect(f"{mode}.db")
            expect("integrity", database.execute("PRAGMA integrity_check").fetchone()[0], "ok")
            totals.add(round(database.execute("SELECT sum(amount) FROM orders").fetchone()[0], 2))
            database.close()
        expect("both modes agree", len(totals), 1)
        return totals.pop()

    def change(self):
        for mode in self.MODES:
            with sqlite3.connect(f"{mode}.db") as database:
                database.execute("UPDATE orders SET amount = amount + 1 WHERE region = 'south'")
            database.close()


LIBRARIES = {"pandas": Pandas, "pyarrow": Pyarrow, "polars": Polars, "duckdb": Duckdb, "sqlite": Sqlite}

library, deed = LIBRARIES[sys.argv[1]](), sys.argv[2]
if deed == "write":
    library.write()
elif deed == "change":
    library.change()
else:
    expect("total", library.total(), {"check": TOTAL, "check-changed": CHANGED_TOTAL}[deed])
