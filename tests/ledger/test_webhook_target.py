"""Where a webhook may be sent: a table of spellings, and the addresses that no spelling reaches."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_ledger.webhook_target import Target, TargetRefused, is_public, parse_target

INSIDE = [
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::10.0.0.5]/",
    "https://[64:ff9b:1::a00:5]/",
    "https://[2002:a00:5::1]/",
    "https://[2001:0:a00:5::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[::1]/",
    "https://[::]/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://017700000001/",
    "https://127.1/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://0.0.0.0/",
    "https://10.0.0.5/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://198.18.0.1/",
    "https://192.0.0.8/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://db.localhost/",
    "https://ledger/",
    "https://db.internal/",
    "https://printer.local/",
]
OTHERWISE = [
    "",
    "http://hooks.example.org/",
    "ftp://hooks.example.org/",
    "//hooks.example.org/",
    "https:///path",
    "https://user:pw@hooks.example.org/",
    "https://hooks.example.org@10.0.0.5/",
    "https://10.0.0.5#@hooks.example.org/",
    "https://hooks.example.org\\@10.0.0.5/",
    "https://hooks.example.org:22/",
    "https://hooks.example.org:0/",
    "https://hooks.example.org:443443/",
    "https://hooks.example.org:65536/",
    "https://hooks.example.org./",
    "https://hooks..example.org/",
    "https://-hooks.example.org/",
    "https://hooks_.example.org/",
    "https://hooks.example.0x1/",
    "https://hooks.example.org/a b",
    "https://hooks.example.org/\r\nHost: 10.0.0.5",
    "https://hooks.example.org/%zz",
    "https://hooks.example.org/#part",
    "https://hooks%2eexample.org/",
    "https://①⑦.example.org/",
    "https://hooks。example.org/",
    "https://[hooks.example.org]/",
    "https://[10.0.0.5]/",
    "https://hooks.example.org/" + "x" * 1_000,
]


@pytest.mark.parametrize("url", INSIDE + OTHERWISE)
def test_a_url_that_leads_inside_or_is_none_is_refused(url: str) -> None:
    """N-3: whatever its spelling."""
    with pytest.raises(TargetRefused):
        parse_target(url)


@pytest.mark.parametrize("url", [url for url in INSIDE + OTHERWISE if "localhost/" not in url.lower()])
def test_a_sandbox_allows_this_machine_by_its_plain_names_only(url: str) -> None:
    if url in {"https://[::1]/", "https://127.0.0.1/"}:
        assert parse_target(url, allow_loopback=True).is_local
    else:
        with pytest.raises(TargetRefused):
            parse_target(url, allow_loopback=True)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example.org", ("https", "hooks.example.org", 443, "/")),
        ("https://Hooks.Example.ORG:8443/a/b?c=%20d", ("https", "hooks.example.org", 8443, "/a/b?c=%20d")),
        ("https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443, "/")),
        ("https://93.184.216.34/x", ("https", "93.184.216.34", 443, "/x")),
        ("https://[2606:2800:220:1::1]:4443/", ("https", "2606:2800:220:1::1", 4443, "/")),
        ("https://hooks.example.org?x=1", ("https", "hooks.example.org", 443, "/?x=1")),
    ],
)
def test_a_public_url_is_taken_apart(url: str, target: tuple[str, str, int, str]) -> None:
    assert parse_target(url) == Target(*target)


def test_a_sandbox_takes_http_on_any_port_of_this_machine() -> None:
    assert parse_target("http://localhost:80/x", allow_loopback=True) == Target("http", "localhost", 80, "/x")
    assert parse_target("http://127.0.0.1:9/x", allow_loopback=True).port == 9
    with pytest.raises(TargetRefused, match="https only"):
        parse_target("http://hooks.example.org:8080/", allow_loopback=True)


@given(st.ip_addresses(v=4))
def test_no_address_is_public_by_being_written_as_another(inner: IPv4Address) -> None:
    number = int(inner)
    written = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80) | 1),
    ]
    assert {is_public(one) for one in written} == {is_public(inner)}
    assert not is_public(IPv6Address(number))


@pytest.mark.parametrize("text", ["93.184.216.34", "8.8.8.8", "2001:4860:4860::8888", "2606:2800:220:1::1"])
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))
