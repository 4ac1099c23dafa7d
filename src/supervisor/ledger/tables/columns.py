"""What all tables are made of: kinds of columns, and the names of keys and indexes."""

from sqlalchemy import BigInteger, Integer, LargeBinary, MetaData, String

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "pk": "%(table_name)s_pkey",
    }
)

# SQLite numbers rows by itself only in a column that is INTEGER to the letter.
ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
MOMENT = BigInteger()  # microseconds since 1970, UTC
PACKED = LargeBinary()  # JSON
NAME = String()
