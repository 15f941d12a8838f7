from typing import Any

import pytest

from v6share.schemas.errors import CatalogError
from v6share.schemas.settings import Settings, parse_settings


def mistake(text: str | None = None, environ: Any = None, flags: Any = None) -> str:
    with pytest.raises(CatalogError) as raised:
        parse_settings(text, environ or {}, flags or {})
    return str(raised.value)


def test_nothing_said_gives_the_defaults() -> None:
    settings = parse_settings(None, {}, {})
    assert settings == Settings()
    assert settings.sampling.unknown == "reject"
    assert settings.sampling.max_packet_bytes == 1500
    assert settings.time.max_duration_hours == 24
    assert settings.time.reporting_utc_offset_minutes == 0
    assert settings.kpi.vantages == ("edge", "unlisted")
    assert (settings.run.threads, settings.run.batch_rows) == (0, 262144)
    assert settings.run.settle_seconds == 60
    assert settings.check.max_age is None


def test_the_environment_wins_over_the_file_and_a_flag_over_both() -> None:
    text = '[run]\nthreads = 2\nbatch_rows = 100\n[sampling]\nunknown = "unsampled"\n'
    environ = {"V6SHARE_RUN__THREADS": "3", "V6SHARE_SAMPLING__UNKNOWN": "500", "PATH": "/bin"}
    flags = {"--threads": 4, "--unknown-sampling": None}
    settings = parse_settings(text, environ, flags)
    assert (settings.run.threads, settings.run.batch_rows) == (4, 100)
    assert settings.sampling.unknown == 500
    assert settings.sampling.max_packet_bytes == 1500


@pytest.mark.parametrize("value", ["edge,core", "edge, core", '["edge", "core"]'])
def test_a_list_in_the_environment(value: str) -> None:
    settings = parse_settings(None, {"V6SHARE_KPI__VANTAGES": value}, {})
    assert settings.kpi.vantages == ("edge", "core")


def test_a_flag_may_be_text() -> None:
    for text, value in (("1000", 1000), ("reject", "reject")):
        settings = parse_settings(None, {}, {"--unknown-sampling": text})
        assert settings.sampling.unknown == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "\n[sampling]\nunknwon = 1\n",
            'v6share.toml:3: sampling.unknwon: unknown key; did you mean "unknown"?',
        ),
        ("[smapling]\n", 'v6share.toml:1: smapling: unknown key; did you mean "sampling"?'),
        (
            "workers = 1\n",
            "v6share.toml:1: workers: unknown key; known: sampling, time, kpi, run, stream",
        ),
        (
            '[sampling]\nunknown = "rejct"\n',
            'v6share.toml:2: sampling.unknown: found "rejct", expected "reject", "unsampled" or '
            'a sampling interval from 1 to 2^32; did you mean "reject"?',
        ),
        (
            "[time]\nmax_duration_hours = 481\n",
            "v6share.toml:2: time.max_duration_hours: found 481, expected at most 480",
        ),
        (
            "[run]\nthreads = '2'\n",
            'v6share.toml:2: run.threads: found "2", expected a whole number',
        ),
        ("[run\n", "v6share.toml:1: not TOML: found [run, expected [run]"),
        (
            "[check]\nmax_age = 90\n",
            "v6share.toml:2: check.max_age: found 90, expected a duration of 1s to 3650d, such as "
            "90m, 2h or 1d",
        ),
        ("run = 3\n", "v6share.toml:1: run: found 3, expected a table"),
        ("[kpi]\nvantages = []\n", "v6share.toml:2: kpi.vantages: found an empty list, expected"),
    ],
)
def test_a_mistake_in_the_file_names_line_and_key(text: str, said: str) -> None:
    assert mistake(text).startswith(said)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "1:1000", "", [1]])
def test_what_is_no_way_to_treat_an_unknown_interval(value: Any) -> None:
    flags = {"--unknown-sampling": value}
    assert "command line: --unknown-sampling: found" in mistake(flags=flags)


def test_all_mistakes_are_said_in_one_go() -> None:
    said = mistake(
        "[run]\nthraeds = 1\nbatch_rows = 0\n[time]\nmax_duration_hours = 481\n",
        {"V6SHARE_RUN__THREAD": "1", "V6SHARE_RUN__THREADS": "many"},
        {"--threads": 9999},
    )
    assert [line.partition(": found")[0] for line in said.split("\n")] == [
        'v6share.toml:2: run.thraeds: unknown key; did you mean "threads"?',
        "v6share.toml:3: run.batch_rows",
        "v6share.toml:5: time.max_duration_hours",
        'environment: V6SHARE_RUN__THREAD: unknown key; did you mean "V6SHARE_RUN__THREADS"?',
        "environment: V6SHARE_RUN__THREADS",
        "command line: --threads",
    ]


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    assert mistake(environ={"V6SHARE_RUN__THREAD": "1"}) == (
        'environment: V6SHARE_RUN__THREAD: unknown key; did you mean "V6SHARE_RUN__THREADS"?'
    )
    assert mistake(environ={"V6SHARE_RUN_THREADS": "1"}) == (
        'environment: V6SHARE_RUN_THREADS: unknown key; did you mean "V6SHARE_RUN__THREADS"?'
    )
    assert mistake(environ={"V6SHARE_RUN__THREADS": "many"}) == (
        'environment: V6SHARE_RUN__THREADS: found "many", expected a whole number'
    )


def test_what_python_does_not_read_is_a_mistake_like_any_other() -> None:
    digits = "9" * 5000
    for text in (f"[run]\nthreads = {digits}\n", "[run]\nthreads = " + "[" * 5000 + "]" * 5000):
        with pytest.raises(CatalogError, match=r"v6share\.toml: found "):
            parse_settings(text, {}, {})
    with pytest.raises(CatalogError, match="V6SHARE_RUN__THREADS"):
        parse_settings(None, {"V6SHARE_RUN__THREADS": digits}, {})


@pytest.mark.parametrize(
    "number",
    [
        *("9" * 5000, "0x" + "f" * 5000, "0o" + "7" * 9000, "[1, [0x" + "f" * 5000 + "]]"),
        *("0." + "1" * 2000, "1e" + "9" * 5000, "1e9999999999999999999"),
    ],
)
def test_a_number_that_is_too_long_is_not_repeated(number: str) -> None:
    with pytest.raises(CatalogError) as caught:
        parse_settings(f"[run]\nthreads = {number}\n", {}, {})
    assert str(caught.value) == "v6share.toml: found a number of thousands of digits"


def test_other_variables_are_not_ours() -> None:
    environ = {"V6SHARE_SHARED": "/x", "V6SHARE": "1", "OTHER__KEY": "1"}
    assert parse_settings(None, environ, {}) == Settings()


def test_a_mistake_in_a_flag_names_the_flag() -> None:
    assert mistake(flags={"--threads": 9999}) == (
        "command line: --threads: found 9999, expected at most 4096"
    )
