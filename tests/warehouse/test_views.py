import pytest

from v6share.warehouse.database.views import Kept, View, order_views, parse_view, read_views

TEXT = """-- what: something
-- kept: whole
-- unit: bytes
CREATE VIEW definitions.a AS
SELECT 1 FROM main.b JOIN main.traffic_1d -- kept: not this, and not main.x
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
    return View(name, " ".join(f"main.{need}" for need in needs), "")


def test_order() -> None:
    ordered = order_views([view("a", "c", "b"), view("b", "c"), view("d"), view("c", "d")])
    assert [v.name for v in ordered] == ["d", "c", "b", "a"]


def test_circles_and_unknown_names() -> None:
    with pytest.raises(ValueError, match="circle"):
        order_views([view("a", "b"), view("b", "a")])
    with pytest.raises(ValueError, match=r"a\.sql reads main\.nope, but there is no such view"):
        order_views([view("a", "nope")])


def test_the_views_that_come_with_it_can_be_ordered() -> None:
    done: set[str] = set()
    views = read_views()
    for one in views:
        assert one.needs & {v.name for v in views} <= done
        done.add(one.name)
