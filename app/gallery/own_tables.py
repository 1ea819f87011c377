"""The tables of our own beside `face_embeddings`, in their present form; steps.py brings them there.

face_schema     how far the steps have come
face_photos     one row for each member: what was last seen of the photo, and what became of it
face_vectors    one row for each row of `face_embeddings`: what it was made of and by which contract
face_contracts  what each contract's digest stands for
face_attempts   members under way: whoever is still there after a run died may have killed it
face_runs       one row for each run

Times are UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
)

MAX_ID_CHARACTERS = 64  # of a crew id; ids are compared byte by byte: to a roster, `a1` and `A1` may be two people
SCHEMA = "face_schema"

_META = MetaData()
PHOTOS = Table(
    "face_photos",
    _META,
    Column("crew_id", String(MAX_ID_CHARACTERS), primary_key=True),
    Column("url", Text),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("size_bytes", BigInteger),
    Column("sha256", String(64)),
    Column("perceptual_hash", String(16)),
    Column("grey", Text),  # hexadecimal: 24 x 24 pixels, which tell two like hashes apart
    Column("width", Integer),
    Column("height", Integer),
    Column("faces_seen", Integer),
    Column("box", String(64)),  # JSON: x, y, width, height in pixels of the upright original
    Column("attempt", String(20)),
    Column("confidence", Numeric(4, 3)),
    Column("quality", Text),  # JSON: value, score and verdict by component
    Column("quality_verdict", String(12)),
    Column("quality_component", String(64)),
    Column("thumbnail", LargeBinary),  # JPEG, of what the report shows
    Column("code", String(40)),  # of the failure; NULL when the photo is in the gallery
    Column("detail", Text),
    Column("judged_by", String(16)),  # the rules that the photo failed by
    Column("failures", Integer),  # in a row
    Column("tried_at", DateTime),  # when the photo was last processed
    Column("checked_at", DateTime),  # when its server was last asked whether it had changed
    Column("left_at", DateTime),  # when the member was first missing from the roster
)
VECTORS = Table(
    "face_vectors",
    _META,
    Column("embedding_id", Integer, primary_key=True, autoincrement=False),
    Column("crew_id", String(MAX_ID_CHARACTERS)),
    Column("contract", String(16)),  # NULL: adopted from another program
    Column("sha256", String(64)),
    Column("perceptual_hash", String(16)),
    Column("grey", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("staged", Boolean),  # made by --migrate, waiting for the switch
)
CONTRACTS = Table(
    "face_contracts",
    _META,
    Column("digest", String(16), primary_key=True),
    Column("meaning", Text),
    Column("first_used_at", DateTime),
    Column("golden", Text),  # JSON: the vector of the built-in picture
)
ATTEMPTS = Table(
    "face_attempts",
    _META,
    Column("crew_id", String(MAX_ID_CHARACTERS), primary_key=True),
    Column("url", Text),
    Column("run_id", Integer),
    Column("deaths", Integer),  # runs that died while the member was under way
)
RUNS = Table(
    "face_runs",
    _META,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("started_at", DateTime),
    Column("ended_at", DateTime),  # NULL: under way, or killed
    Column("host", String(255)),
    Column("pid", Integer),
    Column("options", Text),  # JSON
    Column("contract", String(16)),
    Column("counts", Text),  # JSON: by outcome, by code, by what was planned
    Column("stages_ms", Text),  # JSON: mean of each stage
    Column("processed", Integer),  # members that went through the stages
    Column("seconds", Numeric(10, 3)),
    Column("exit_code", Integer),
    Column("error", Text),
    Column("rows_left", Integer),  # after deleting: how many rows of those people are left, which is none
)
VERSIONS = Table(SCHEMA, _META, Column("version", Integer, primary_key=True, autoincrement=False))
