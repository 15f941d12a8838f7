import duckdb
import pytest

from v6share.render.units import parse_clauses, section
from v6share.schemas.view_columns import VIEW_COLUMNS
from v6share.warehouse.database.migrate import migrate
from v6share.warehouse.database.views import Kept, View, order_views, parse_view, read_views

TEXT = """-- what: something
-- kept: whole
-- unit: bytes
CREATE VIEW definitions.a AS
SELECT main.f(1) FROM results.b JOIN main.traffic_1d -- kept: not this, and not main.x
"""


def test_parsing() -> None:
    view = parse_view("a.sql", TEXT)
    assert view == View("a", TEXT, "what: something\nunit: bytes", Kept.WHOLE)
    assert view.needs == {"b", "traffic_1d"}
    assert parse_view("a.sql", TEXT.replace("-- kept: whole\n", "")).kept is Kept.NOT


def test_a_file_holds_the_view_of_its_name() -> None:
    others = (TEXT.replace("definitions.a", "definitions.x"), TEXT + TEXT, "SELECT 1")
    for text in (*others, TEXT.replace("definitions.a", "a")):
        with pytest.raises(ValueError, match=r"expected one `CREATE VIEW definitions\.a AS`"):
            parse_view("a.sql", text)


def test_how_a_result_is_kept_is_one_of_three_wordings() -> None:
    for line in ("-- kept: wholly\n", "-- kept: whole\n-- kept: by day\n"):
        with pytest.raises(ValueError, match=r"a\.sql: expected at most one of `-- kept: by day`"):
            parse_view("a.sql", TEXT.replace("-- kept: whole\n", line))


def view(name: str, *needs: str) -> View:
    return View(name, " ".join(f"results.{need}" for need in needs), "")


def test_order() -> None:
    ordered = order_views([view("a", "c", "b"), view("b", "c"), view("d"), view("c", "d")])
    assert [v.name for v in ordered] == ["d", "c", "b", "a"]


def test_circles_and_unknown_names() -> None:
    with pytest.raises(ValueError, match="circle"):
        order_views([view("a", "b"), view("b", "a")])
    with pytest.raises(ValueError, match=r"a\.sql reads results\.nope, but .* no such view"):
        order_views([view("a", "nope")])


def test_a_view_is_read_as_the_exact_result() -> None:
    """What readers see of a view is rounded where it may pass 64 bits."""
    with pytest.raises(ValueError, match=r"a\.sql reads main\.b, but there is no such table"):
        order_views([View("a", "main.b", ""), view("b")])


def made(text: str) -> duckdb.DuckDBPyConnection:
    """A database with the view ``a`` of this query."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA definitions; CREATE SCHEMA results")
    parse_view("a.sql", text).create(connection)
    return connection


WIDE = """-- what: something
-- unit: big, n: bytes
-- columns: big: a sum that passes 64 bits
CREATE VIEW definitions.a AS
SELECT 170000000000000000000000000000000000000::HUGEINT AS big, 7::BIGINT AS records, 'x' AS app
"""


def test_readers_see_a_double_where_a_sum_may_pass_64_bits() -> None:
    connection = made(WIDE)
    assert [row[1] for row in connection.execute("DESCRIBE results.a").fetchall()] == [
        "HUGEINT", "BIGINT", "VARCHAR",
    ]  # fmt: skip
    assert [row[1] for row in connection.execute("DESCRIBE main.a").fetchall()] == [
        "DOUBLE", "BIGINT", "VARCHAR",
    ]  # fmt: skip
    assert connection.execute("FROM results.a").fetchall() == [(17 * 10**37, 7, "x")]
    assert connection.execute("FROM main.a").fetchall() == [(1.7e38, 7, "x")]


def test_a_column_carries_what_its_view_says_of_it_else_what_its_name_means() -> None:
    comments = made(WIDE).execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'main' "
        "AND table_name = 'a'"
    )
    assert dict(comments.fetchall()) == {
        "big": "a sum that passes 64 bits [bytes]",
        "records": VIEW_COLUMNS["records"],
        "app": VIEW_COLUMNS["app"],
    }


def test_a_column_without_a_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.sql: nothing says what its column other means"):
        made(WIDE.replace("AS app", "AS other"))


def test_every_meaning_is_one_of_a_column_that_there_is() -> None:
    with duckdb.connect() as connection:
        migrate(connection)
        found = connection.execute(
            "SELECT table_name, list(column_name) FROM duckdb_columns() "
            "WHERE schema_name = 'definitions' GROUP BY table_name"
        ).fetchall()
    columns = {name: set(names) for name, names in found}
    for one in read_views():
        said = parse_clauses(section(one.about, "columns"))
        assert said.keys() <= columns[one.name], one.name
        assert {name for name in said if said[name] == VIEW_COLUMNS.get(name)} == set(), one.name
    assert VIEW_COLUMNS.keys() <= set.union(*columns.values())


def test_the_views_that_come_with_it_can_be_ordered() -> None:
    done: set[str] = set()
    views = read_views()
    for one in views:
        assert one.needs & {v.name for v in views} <= done
        done.add(one.name)
