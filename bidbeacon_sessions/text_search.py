"""SQL that looks for free text in sessions: as clauses over `session_headers h` with the parameter `text`."""

from sqlalchemy import Connection, text

from bidbeacon_sessions.tables import ACTION_WORDS

MOST_RARE = 20_000

# All words, in any order, each may be a beginning. A text without words finds nothing among the actions.
_WORDS = "plainto_tsquery('simple', :text)"
_QUERY = f"CAST(regexp_replace(CAST({_WORDS} AS text), '''( &|$)', ''':*\\1', 'g') AS tsquery)"
_CONTAINS = "position(lower(:text) IN lower({})) > 0"
_IN_HEADER = " OR ".join(
    [
        *(_CONTAINS.format(column) for column in ("h.job_name", "h.account_key", "h.error ->> 'message'")),
        *(_CONTAINS.format(column) for column in ("h.error ->> 'type'", "CAST(h.input AS text)")),
        "h.run_id = :text",
        "CAST(h.id AS text) = :text",
    ]
)

# Making the words of an action costs ten times as much as looking whether their letters are in it.
_MAY_HAVE = """lower(f.type || ' ' || CAST(f.payload AS text)) LIKE ALL (ARRAY(
    SELECT '%' || lexeme || '%' FROM unnest(to_tsvector('simple', :text))))"""

HAS_TEXT = f"""({_IN_HEADER} OR 0 < (SELECT count(*) FROM (
    SELECT FROM session_actions f WHERE f.session_id = h.id AND {_MAY_HAVE} AND {ACTION_WORDS} @@ ({_QUERY}) LIMIT 1) one))"""
"""Looks into one session after the other: quick where many have the text, or where the sessions are few already."""

HAS_TEXT_BY_INDEX = f"({_IN_HEADER} OR h.id IN (SELECT f.session_id FROM session_actions f WHERE {ACTION_WORDS} @@ ({_QUERY})))"
"""Finds all actions with the text first: quick where few have it."""

_ESTIMATE = text(f"EXPLAIN (FORMAT JSON) SELECT FROM session_actions WHERE {ACTION_WORDS} @@ ({_QUERY})")


def suited_to(connection: Connection, wanted: str | None, statement: str) -> str:
    """Give a statement that looks for a text (or for none) the way that is quicker: by `HAS_TEXT`, as it comes, or by the index."""
    if wanted is None or not is_rare(connection, wanted):
        return statement
    return statement.replace(HAS_TEXT, HAS_TEXT_BY_INDEX)


def is_rare(connection: Connection, wanted: str) -> bool:
    """Tell whether so few actions have a text that finding them all is quicker than looking for the newest.

    The server's own estimate, from its statistics of words: counting would take as long as finding them. A wrong one costs time only.
    """
    plan = connection.execute(_ESTIMATE, {"text": wanted}).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"]) < MOST_RARE
