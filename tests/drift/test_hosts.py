import json

import pyarrow as pa
import pytest

from pipeline.drift.hosts import host_of


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ({"url": "https://Img.Example.COM:8080/a.jpg"}, "img.example.com"),
        ({"URL": "http://a.example/x"}, "a.example"),
        ({"image_url": "//cdn.example/x"}, "cdn.example"),
        ({"url": "no address", "URL": "http://b.example"}, "b.example"),
        ({"url": "http://bücher.example/x"}, "bücher.example"),
        ({"url": "http://xn--bcher-kva.example/x"}, "xn--bcher-kva.example"),
        ({"url": "http://user:secret@c.example/"}, "c.example"),
        ({"url": "http://[2001:db8::1]:80/"}, "2001:db8::1"),
        ({"url": "http://[never closed"}, None),
        ({"url": "http://" + "a" * 254 + "/"}, None),
        ({"url": ["http://a.example"]}, None),
        ({"url": ""}, None),
        ({"address": "http://a.example"}, None),
        ({}, None),
        ([1], None),
        ("http://a.example", None),
    ],
)
def test_the_host_is_that_of_the_first_address_that_has_one(fields, host):
    assert host_of(pa.array([json.dumps(fields)])).to_pylist() == [host]


@pytest.mark.parametrize("text", [None, "", "{", "[" * 10_000, "NaN", '{"url": "\\ud800"}'])
def test_fields_that_are_no_json_object_have_no_host(text):
    assert host_of(pa.array([text], pa.string())).to_pylist() == [None]


def test_rows_keep_their_order_and_chunks_do_not_matter():
    texts = [json.dumps({"url": f"http://{name}.example"}) for name in "abcab"]
    whole, cut = pa.array([*texts, None]), pa.chunked_array([texts[:2], [*texts[2:], None]])

    assert host_of(whole).to_pylist() == [*(f"{name}.example" for name in "abcab"), None]
    assert host_of(cut).equals(host_of(whole))


def test_no_rows_have_no_hosts():
    assert host_of(pa.chunked_array([], pa.string())).to_pylist() == []
