import pytest

from v6share.warehouse.database.views import View, order_views, parse_view, read_views

TEXT = """-- what: something
-- needs: b, c
-- unit: bytes
CREATE VIEW a AS
SELECT 1 -- needs: not this
"""


def test_parsing() -> None:
    assert parse_view("a.sql", TEXT) == View("a", TEXT, ("b", "c"), "what: something\nunit: bytes")


def test_a_file_holds_the_view_of_its_name() -> None:
    for text in (TEXT.replace("VIEW a", "VIEW x"), TEXT + TEXT, "SELECT 1"):
        with pytest.raises(ValueError, match="expected one `CREATE VIEW a AS`"):
            parse_view("a.sql", text)


def view(name: str, *needs: str) -> View:
    return View(name, "", needs, "")


def test_order() -> None:
    ordered = order_views([view("a", "c", "b"), view("b", "c"), view("d"), view("c", "d")])
    assert [v.name for v in ordered] == ["d", "c", "b", "a"]


def test_circles_and_unknown_names() -> None:
    with pytest.raises(ValueError, match="circle"):
        order_views([view("a", "b"), view("b", "a")])
    with pytest.raises(ValueError, match=r"a\.sql needs nope"):
        order_views([view("a", "nope")])


def test_the_views_that_come_with_it_can_be_ordered() -> None:
    done: set[str] = set()
    for one in read_views():
        assert set(one.needs) <= done
        done.add(one.name)
