"""A TOML file cut into statements: it means what TOML says, and a wrong line costs only itself."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.card.statements import read
from leyden.appliance.card.text_file import lines_of

KEYS = st.text("abcdefgh_-0123456789", min_size=1, max_size=8)
PLAIN = st.text("abcXYZ äöü€[]{}#=,.'", max_size=12)
BASIC = PLAIN.map(lambda text: f'"{text}"')
LITERAL = PLAIN.map(lambda text: "'" + text.replace("'", "") + "'")
LONG = st.lists(PLAIN, min_size=1, max_size=3).map(lambda each: '"""\n' + "\n".join(each) + '"""')
SCALARS = st.one_of(
    BASIC, LITERAL, LONG, st.integers().map(str), st.booleans().map(lambda b: str(b).lower())
)
LISTS = st.lists(SCALARS.filter(lambda text: "\n" not in text), max_size=4).map(
    lambda each: "[\n" + "".join(f"  {one}, # and\n" for one in each) + "]"
)
INLINE = st.lists(KEYS, max_size=3, unique=True).map(
    lambda keys: "{ " + ", ".join(f"{key} = 1" for key in keys) + " }"
)
VALUES = st.one_of(SCALARS, LISTS, INLINE)
PAIRS = st.tuples(KEYS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}")
HEADS = st.lists(KEYS, min_size=1, max_size=3).map(lambda keys: f"[{'.'.join(keys)}]")
LINES = st.one_of(PAIRS, HEADS, st.just(""), PLAIN.map(lambda text: f"# {text}"))
DOCUMENTS = st.lists(LINES, max_size=12).map("\n".join)


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


@given(DOCUMENTS.filter(is_toml))
def test_a_file_that_is_toml_means_what_toml_says(text: str) -> None:
    document = read(text)
    assert document.whole
    assert document.table == tomllib.loads(text)
    assert document.broken == ()


@given(DOCUMENTS.filter(is_toml))
def test_put_together_from_its_statements_it_means_the_same(text: str) -> None:
    # One wrong line at the end makes the reader rely on the statements.
    document = read(text + "\n[and this is no table\n")
    assert not document.whole
    assert document.table == tomllib.loads(text)
    assert len(document.broken) == 1


@given(DOCUMENTS)
def test_statements_cover_every_line_once_and_in_order(text: str) -> None:
    last = 0
    for each in read(text).statements:
        assert each.first == last + 1
        assert each.last >= each.first
        last = each.last
    assert last == len(lines_of(text))


@given(st.text(max_size=200))
def test_no_text_stops_the_reader(text: str) -> None:
    document = read(text)
    assert document.statements or not text


@given(st.text("[]{}\"'=\n#.,ab\\", max_size=120))
def test_no_jumble_of_signs_stops_the_reader(text: str) -> None:
    document = read(text)
    if document.whole:
        assert document.table == tomllib.loads(text)


@given(DOCUMENTS.filter(is_toml), st.integers(0, 200), st.characters())
def test_one_wrong_character_costs_at_most_what_stands_around_it(
    text: str, place: int, char: str
) -> None:
    hurt = text[:place] + char + text[place:]
    for each in read(hurt).broken:
        assert each.problem or each.table == ()


def test_a_line_is_found_by_its_path_and_a_missing_key_by_its_table() -> None:
    document = read('name = 1\n\n[wifi]\nssid = "x"\nlist = [\n 1,\n]\n')
    assert document.line(("name",)) == 1
    assert document.line(("wifi", "ssid")) == 4
    assert document.line(("wifi", "list")) == 5
    assert document.line(("wifi", "password")) == 3
    assert document.line(("panel",)) is None


def test_a_long_value_is_one_statement() -> None:
    document = read('a = """\nb = 1\n"""\nc = 2\n')
    assert [(each.first, each.last) for each in document.statements] == [(1, 3), (4, 4)]


def test_what_follows_a_broken_table_is_nobodys() -> None:
    document = read('[wifi]\nssid = "a"\n[network\naddress = "b"\n[panel]\nc = 1\n')
    assert document.table == {"wifi": {"ssid": "a"}, "panel": {"c": 1}}
    assert [each.first for each in document.broken] == [3, 4]


def test_lists_of_tables_are_put_together_as_toml_does() -> None:
    text = "[[a]]\nx = 1\n[[a]]\nx = 2\n[a.b]\ny = 3\n"
    assert read(text + "nonsense\n").table == tomllib.loads(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hostname = greenhouse", 'text needs quotes: hostname = "…"'),
        ("hostname = “greenhouse”", "typographic quotes"),
        ('hostname = "greenhouse', "has no closing quote"),
        ("hostname = 'greenhouse", "has no closing quote"),
        ("hostname =", "has no value"),
        ("hostname greenhouse", "expected a line such as"),
        ('hostname = "green\\house"', "has a backslash"),
        ('hostname = "a" "b"', "is no TOML"),
        ('list = ["a",', "begins with [ and has no matching end"),
        ('text = """a', 'begins with """ and has no matching end'),
        ('hostname = "gr\0n"', "zero bytes"),
        ("[wifi", "expected ']' at the end of a table declaration"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(line: str, words: str) -> None:
    document = read(f"{line}\n")
    assert not document.whole
    assert words in document.broken[0].problem


def test_tables_in_tables_end_somewhere() -> None:
    deep = "[" + ".".join("a" * 40) + "]"
    assert "too many tables" in read(f"{deep}\nnonsense\n").broken[0].problem


@given(st.text("abcdefghijklmnop", min_size=8, max_size=20), st.sampled_from(['"', "'", "\\", "“"]))
def test_words_about_a_mistake_never_quote_the_value(secret: str, sign: str) -> None:
    for line in (f"password = {secret}", f'password = "{secret}{sign}{secret}', f"{sign}{secret}"):
        for each in read(line + "\n").broken:
            assert secret not in each.problem


def test_a_file_full_of_open_lists_is_read_in_a_moment() -> None:
    text = "".join(f"x{i} = [\n  1 ]]\n" for i in range(3000))
    assert len(read(text).broken) == 3000
