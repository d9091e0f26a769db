from __future__ import annotations

import json

import pytest

from gitml.manifest import codec
from gitml.model.source import SourceDeclaration
from gitml.model.url import UrlError, check_url, shown_url
from tests.unit.manifest_project import compiled, problem, problems, told

URL = 'url = "https://example.org/a"\n'
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def source(text, **files):
    (only,) = compiled(text, **files).sources.values()
    return only


def test_a_source_has_a_path_a_url_and_digests():
    found = source(f'[source."data/a.csv"]\n{URL}sha256 = "{SHA256.upper()}"\nmd5 = "md5:{MD5}"\n')
    assert found == SourceDeclaration(
        path="data/a.csv", url="https://example.org/a", expected=(("sha256", SHA256), ("md5", MD5))
    )
    assert compiled("").sources == {}


def test_a_path_has_one_spelling():
    assert list(compiled(f'[source."./data//a.csv"]\n{URL}').sources) == ["data/a.csv"]


def test_parameters_stand_in_urls():
    text = '[params]\nv = 3\n[source.a]\nurl = "https://example.org/v${{ params.v }}/a"\n'
    assert source(text).url == "https://example.org/v3/a"
    line, column, message, _ = told('[source.a]\nurl = "https://example.org/${{ params.w }}"\n')
    assert (line, column) == (2, 28)
    assert "params" in message


def test_parameters_are_looked_at_after_they_are_filled_in():
    text = '[params]\nhost = "u:hidden@example.org"\n[source.a]\nurl = "https://${{ params.host }}/a"\n'
    assert "password" in told(text)[2]


@pytest.mark.parametrize(
    ("body", "line", "message", "hint"),
    [
        ('ulr = "https://x"\n' + URL, 2, "unknown key 'ulr'", "did you mean 'url'?"),
        ("", 1, "'url' is missing", 'add url = "https://example.org/raw.csv"'),
        ("url = 3\n", 2, "expected a string, found an integer", None),
        (URL + 'sha256 = "abc"\n', 3, "this is not a sha256 digest", "it has 64 hexadecimal digits"),
        (URL + f'blake3 = "sha256:{SHA256}"\n', 3, "this is not a blake3 digest", "it has 64 hexadecimal digits"),
        (URL + "md5 = 7\n", 3, "expected a string, found an integer", None),
        ('url = "data/raw.csv"\n', 2, "this is not a URL", None),
        ('url = "https:///x"\n', 2, "this URL names no host", None),
        ('url = "zip://a::https://example.org/b"\n', 2, "'::' chains file systems, which a declaration may not", None),
    ],
)
def test_mistakes_are_told_where_they_stand(body, line, message, hint):
    one = problem(f"[source.a]\n{body}")
    assert (one.line, one.message) == (line, message)
    assert hint is None or one.hint == hint


@pytest.mark.parametrize("name", ["/etc/passwd", "../a", ".git/config", "a/.gitml/x", "*.csv", "."])
def test_a_source_stays_in_the_project(name):
    assert problem(f'[source."{name}"]\n{URL}').line == 1


def test_a_source_is_a_table():
    assert told('source = "x"\n')[2] == "expected a table, found a string"
    assert told('[source]\na = "x"\n')[2] == '[source."PATH"] must be a table, not a string'


@pytest.mark.parametrize("inline", [False, True])
def test_a_password_is_not_shown(inline):
    text = '[source.a]\nurl = "https://ada:hidden@example.org/a"\n'
    if inline:
        text = 'source = { a = { url = "https://ada:hidden@example.org/a", nope = 1 } }\n'
    found = problems(text)
    assert len(found) == 1 + inline
    assert not any("hidden" in str(one) or "ada" in str(one) for one in found)


STEP = "[step.s]\nrun = 'x'\noutputs = ['out/made']\n"


@pytest.mark.parametrize("path", ["out/made", "out/made/below", "out", "OUT/Made"])
def test_a_source_may_not_overlap_an_output(path):
    one = problem(f'{STEP}[source."{path}"]\n{URL}')
    assert one.message == f"source {path} overlaps output out/made of step 's'"
    assert one.line == 4


@pytest.mark.parametrize(("one", "other"), [("a", "a/b"), ("a/b", "a"), ("a", "A"), ("a", "./a")])
def test_a_source_may_not_overlap_another(one, other):
    found = problem(f'[source."{one}"]\n{URL}[source."{other}"]\n{URL}')
    assert found.line == 3
    assert "overlaps source" in found.message


def test_beside_an_output_is_no_overlap():
    text = f'{STEP}[source."out/other"]\n{URL}[source."out/made2"]\n{URL}'
    assert list(compiled(text).sources) == ["out/other", "out/made2"]


def test_the_compiled_form_has_the_sources():
    pipeline = compiled(f'[source.b]\n{URL}[source.a]\n{URL}md5 = "{MD5}"\n')
    again = codec.from_json(json.loads(json.dumps(codec.to_json(pipeline))))
    assert again == pipeline
    assert list(again.sources) == ["b", "a"]


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a?b=c#d",
        "http://[::1]:80/a",
        "s3://bucket/some key.csv",
        "abfs://container@account.dfs.core.windows.net/a",
        "hf://datasets/org/name@main/a.csv",
        "file:///data/a.csv",
    ],
)
def test_a_url_is_taken_as_it_is(url):
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "a.csv",
        "//example.org/a",
        "https:/example.org",
        "https://example.org\\@evil.example/a",
        "https://example.org/a\r\nHost: evil.example",
        "https://example.org/\x7f",
        " https://example.org/a",
        "https://",
        "s3:///key",
        "https://example.org/" + "a" * 9000,
        "simplecache::s3://bucket/a",
        "s3://bucket/a::memory://b",
        "https://ada@example.org/a",
        "ftp://ada:hidden@example.org/a",
        "abfs://container:key@account/a",
    ],
)
def test_a_url_that_could_mean_something_else_is_refused(url):
    with pytest.raises(UrlError) as caught:
        check_url(url)
    assert url.strip() not in str(caught.value)
    assert caught.value.secret == ("@" in url)


def test_what_is_shown_of_a_url_is_no_secret():
    assert shown_url("https://example.org/a.csv") == "https://example.org/a.csv"
    assert shown_url("https://example.org/a.csv?X-Amz-Signature=hidden") == "https://example.org/a.csv?…"
    assert shown_url("https://ada:hidden@example.org/a") == "https://example.org/a"
    assert shown_url("abfs://container@account/a") == "abfs://container@account/a"
    assert shown_url("nothing") == "(not a URL)"
