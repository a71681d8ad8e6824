"""Photographs that feeds name by URL: fetched politely, from public hosts alone, kept and asked for again."""

import base64
import errno
import gzip
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click
import dagster as dg
import httpcore
import pytest
from click.testing import CliRunner

from asset_pipeline import cli
from asset_pipeline.catalog.asset import catalog
from asset_pipeline.catalog.product import Photograph
from asset_pipeline.catalog.reader import CatalogReading, read_catalog
from asset_pipeline.catalog.records import (
    FORGOTTEN_AFTER,
    PRODUCTS,
    REMOTE_PHOTOGRAPHS,
    WHOLE,
    load_remote_photographs,
    record_catalog,
    record_remote_photographs,
    recorded_photographs,
)
from asset_pipeline.catalog.remote.address import CheckedConnections, RefusedAddress, is_public
from asset_pipeline.catalog.remote.fetching import Fetcher
from asset_pipeline.catalog.remote.hosts import MOST_MISSES
from asset_pipeline.catalog.remote.photograph import FetchRules, is_due, shown_url
from asset_pipeline.catalog.remote.request import retry_after
from asset_pipeline.commands import terminal
from asset_pipeline.definitions import Places
from asset_pipeline.errors import InvalidFile
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.store.images import Images
from asset_pipeline.store.store import Store
from asset_pipeline_tests.picture_server import PictureServer, Reply, picture_server
from asset_pipeline_tests.test_catalog import codes, finding, only, picture, write

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RED, BLUE = picture("red"), picture("blue", (9, 9))


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with picture_server() as running:
        yield running


@dataclass
class Shop:
    """A catalog folder and a store, and what a materialisation of the catalog does with them."""

    folder: Path
    store: Store
    rules: FetchRules
    lines: list[str] = field(default_factory=list)

    def sell(self, *references: str) -> None:
        """Write a feed of one product to each reference; several with | between."""
        rows = "".join(f'M{n},Mug {n},"{each}"\n' for n, each in enumerate(references, 1))
        write(self.folder, feed__csv=f"sku,name,photographs\n{rows}")

    def read(self, **changes: Any) -> CatalogReading:
        """Read the catalog, fetching what is due."""
        fetcher = Fetcher(
            replace(self.rules, **changes),
            self.store.images,
            load_remote_photographs(self.store),
            partial(record_remote_photographs, self.store, run_id="r"),
            self.lines.append,
        )
        return read_catalog(self.folder, self.store.images, remote=fetcher)

    def look(self) -> CatalogReading:
        """Read the catalog without asking anybody."""
        return read_catalog(self.folder, remote=recorded_photographs(self.store))


def allowing(*servers: PictureServer, **others: Any) -> FetchRules:
    """Rules that let tests ask servers on this machine, and are not patient."""
    hosts = frozenset((host, each.port) for each in servers for host in ("127.0.0.1", "localhost"))
    quick = {"pause": timedelta(seconds=0.05), "silence": timedelta(seconds=2), "record_every": timedelta(0)}
    return FetchRules(private_hosts=hosts, **quick | others)


@pytest.fixture
def shop(tmp_path: Path, local_store: Store, server: PictureServer) -> Shop:
    return Shop(tmp_path / "catalog", local_store, allowing(server))


def photograph(reading: CatalogReading) -> Photograph:
    (found,) = only(reading).photographs
    return found


def unreachable(reading: CatalogReading) -> str:
    assert only(reading).photographs == ()
    assert codes(reading) == {"photograph_unreachable": 1}
    return finding(reading, "photograph_unreachable").message


# --- fetching


def test_a_photograph_named_by_url_is_fetched_and_kept_like_any_other(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {"/mug.png": Reply(RED), "/mug-side.jpg": Reply(picture(kind="JPEG", size=(5, 4)))}
    shop.sell(server.url("/mug.png") + "|" + server.url("/mug-side.jpg"))
    reading = shop.read()
    assert [(each.role, each.media_type, each.width) for each in only(reading).photographs] == [
        ("base", "image/png", 8),
        ("side", "image/jpeg", 5),
    ]
    assert shop.store.images.get(only(reading).photographs[0].sha256) == RED
    assert reading.findings == []
    assert reading.photographs == 2


def test_the_server_is_told_who_asks_and_for_what(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": Reply(RED)}
    shop.sell(server.url("/mug.png"))
    shop.read()
    (question,) = server.asked
    assert question.headers["User-Agent"].startswith("asset-pipeline ")
    assert "image/" in question.headers["Accept"]
    assert question.headers["Host"] == f"127.0.0.1:{server.port}"
    assert "Authorization" not in question.headers


def test_a_url_that_several_products_share_is_asked_for_once(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": Reply(RED)}
    shop.sell(*[server.url("/mug.png")] * 3)
    assert all(product.photographs for product in shop.read().products)
    assert server.paths == ["/mug.png"]


@pytest.mark.parametrize("written", ["{} mug, red.png", "{}ü.png?v=1&w=a b", "{}mug%20red.png#top"])
def test_urls_are_asked_for_as_browsers_do(shop: Shop, server: PictureServer, written: str) -> None:
    server.replies = {path: Reply(RED) for path in ("/%20mug,%20red.png", "/%C3%BC.png", "/mug%20red.png")}
    shop.sell(written.format(server.url("/")))
    assert photograph(shop.read()).sha256 == sha256_of(RED)


def test_what_a_server_packs_is_unpacked(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": Reply(gzip.compress(RED), headers={"Content-Encoding": "gzip"})}
    shop.sell(server.url("/mug.png"))
    assert photograph(shop.read()).sha256 == sha256_of(RED)


def test_the_type_is_what_the_bytes_are_and_not_what_the_server_says(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {"/mug.php": Reply(RED, headers={"Content-Type": "text/html"})}
    shop.sell(server.url("/mug.php"))
    assert photograph(shop.read()).media_type == "image/png"


# --- what cannot be had


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=404), "127.0.0.1 answered 404 Not Found"),
        (Reply(status=403), "127.0.0.1 answered 403 Forbidden"),
        (Reply(status=204), "answered 204"),
        (Reply(status=304), "answered 304"),
        (Reply(status=302), "answered 302"),
        (Reply(status=302, headers={"Location": "http://[::1"}), "no valid URL to go to"),
        (Reply(status=500), "answered 500"),
        (Reply(b"<!DOCTYPE html><h1>Gone</h1>", headers={"Content-Type": "text/html"}), "a web page"),
        (Reply(b"no bytes of a picture"), "no picture that can be used"),
        (Reply(b""), "the file is empty"),
        (Reply(RED, length=len(RED) + 10), "127.0.0.1"),
        (Reply(b"not gzip", headers={"Content-Encoding": "gzip"}), "packed in a damaged way"),
    ],
)
def test_what_cannot_be_had_is_a_finding_with_the_reason_and_the_product_stays(
    shop: Shop, server: PictureServer, reply: Reply, reason: str
) -> None:
    server.replies = {"/mug.png": reply}
    shop.sell(server.url("/mug.png"))
    reading = shop.read()
    assert reason in unreachable(reading)
    found = finding(reading, "photograph_unreachable")
    assert (found.sku, found.row, found.level, found.field) == ("M1", 2, "warning", "photographs")
    assert finding(reading, "no_photograph").sku == "M1"


@pytest.mark.parametrize(
    "url", ["http://a:b/x.png", "http://[::1/x.png", "https://x\u0007y/z.png", "http:///x.png", "http://"]
)
def test_what_is_no_url_is_a_finding(shop: Shop, url: str) -> None:
    shop.sell(url)
    reading = shop.read()
    assert only(reading).photographs == ()
    assert sum(codes(reading).values()) == 1


def test_nobody_answering_is_a_finding_and_the_others_come(shop: Shop, server: PictureServer) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        server.replies = {"/mug.png": Reply(RED)}
        shop.sell(f"http://localhost:{port}/mug.png", server.url("/mug.png"))
        reading = shop.read(private_hosts=shop.rules.private_hosts | {("localhost", port)})
    assert [bool(product.photographs) for product in reading.products] == [False, True]
    assert "localhost" in finding(reading, "photograph_unreachable").message


def test_a_name_that_does_not_exist_is_a_finding(shop: Shop) -> None:
    shop.sell("https://nobody.invalid/mug.png")
    assert "the name nobody.invalid cannot be resolved" in unreachable(shop.read())


def test_a_file_that_is_too_large_is_not_waited_for(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/endless.png": Reply(bytes(1 << 16), length=-1), "/said.png": Reply(b"", length=10**7)}
    shop.sell(server.url("/endless.png"), server.url("/said.png"))
    reading = shop.read(largest_file=1 << 20)
    reasons = [each.message for each in reading.findings if each.code == "photograph_unreachable"]
    assert len([reason for reason in reasons if "it has more than" in reason]) == 2
    assert server.sent < 100 << 20


def test_a_file_that_never_ends_to_come_is_given_up(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/slow.png": Reply(bytes(1 << 16), length=-1)}
    shop.sell(server.url("/slow.png"))
    reading = shop.read(longest_fetch=timedelta(seconds=0.2))
    assert "took longer than 0.2 s" in unreachable(reading)


def test_a_host_that_says_nothing_is_left_alone_and_the_others_are_not_waiting(
    shop: Shop, server: PictureServer
) -> None:
    with picture_server() as mute:
        mute.replies = {f"/{n}.png": Reply(RED, after_s=30) for n in range(40)}
        server.replies = {"/mug.png": Reply(RED)}
        shop.sell(*[mute.url(f"/{n}.png", "localhost") for n in range(40)], server.url("/mug.png"))
        shop.rules = allowing(server, mute, silence=timedelta(seconds=0.2))
        began = time.monotonic()
        reading = shop.read()
        assert len(mute.asked) <= MOST_MISSES + 4
    assert reading.products[-1].photographs
    assert "localhost said nothing for 0.2 s" in unreachable_messages(reading)[0]
    assert time.monotonic() - began < 10


def unreachable_messages(reading: CatalogReading) -> list[str]:
    return [each.message for each in reading.findings if each.code == "photograph_unreachable"]


# --- redirects


def test_three_redirects_are_followed_and_a_fourth_is_not(shop: Shop, server: PictureServer) -> None:
    server.replies = {
        f"/{n}": Reply(status=301 if n % 2 else 307, headers={"Location": f"/{n - 1}"}) for n in range(1, 5)
    } | {"/0": Reply(RED)}
    shop.sell(server.url("/3"))
    assert photograph(shop.read()).sha256 == sha256_of(RED)
    shop.sell(server.url("/4"))
    assert "more than 3 redirects" in unreachable(shop.read())


@pytest.mark.parametrize("place", ["http://127.0.0.1:{}/x.png", "http://localhost:{}/x.png"])
def test_a_redirect_to_a_private_address_is_not_followed(
    shop: Shop, server: PictureServer, place: str
) -> None:
    with picture_server() as inner:
        inner.replies = {"/x.png": Reply(RED)}
        server.replies = {"/mug.png": Reply(status=302, headers={"Location": place.format(inner.port)})}
        shop.sell(server.url("/mug.png"))
        message = unreachable(shop.read())
        assert inner.asked == []
    assert "not a public address" in message
    assert "after a redirect to" in message


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://example.com/x.png", "data:image/png,AA"])
def test_a_redirect_leads_to_nothing_but_the_web(shop: Shop, server: PictureServer, place: str) -> None:
    server.replies = {"/mug.png": Reply(status=302, headers={"Location": place})}
    shop.sell(server.url("/mug.png"))
    assert "only http and https" in unreachable(shop.read())


# --- addresses


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "192.88.99.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::8.8.8.8", "2002:7f00:1::", "2001:0:4136:e378::1", "100::1", "5f00::1"),
    ],
)
def test_addresses_of_this_machine_its_networks_and_nobody_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "151.101.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_addresses_of_hosts_on_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_a_host_on_this_machine_is_refused_however_it_is_written(
    shop: Shop, server: PictureServer, host: str
) -> None:
    server.replies = {"/mug.png": Reply(RED)}
    shop.sell(server.url("/mug.png", host))
    message = unreachable(shop.read(private_hosts=frozenset()))
    assert "not a public address" in message
    assert f":{server.port} to ASSET_PIPELINE_FETCH_PRIVATE" in message
    assert server.asked == []


def test_a_private_host_is_allowed_with_its_port_alone(shop: Shop, server: PictureServer) -> None:
    with picture_server() as other:
        server.replies = other.replies = {"/mug.png": Reply(RED)}
        shop.sell(server.url("/mug.png", "LOCALHOST"), other.url("/mug.png"))
        assert [bool(product.photographs) for product in shop.read().products] == [True, False]
        assert other.asked == []


@dataclass
class Names:
    """A name server that gives another answer each time; addresses stand for themselves."""

    answers: list[list[str]]
    questions: int = 0

    def getaddrinfo(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        try:
            found = [str(ip_address(host))]
        except ValueError:
            found = self.answers[min(self.questions, len(self.answers) - 1)]
            self.questions += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]


@pytest.mark.parametrize("answers", [[["151.101.1.1"], ["127.0.0.1"]], [["127.0.0.1", "151.101.1.1"]]])
def test_a_connection_goes_to_the_address_that_was_judged(
    monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]
) -> None:
    names, connected = Names(answers), []

    def create_connection(address: tuple[str, int], *_: object, **__: object) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", create_connection)
    with pytest.raises(httpcore.ConnectError):
        CheckedConnections().connect_tcp("shop.example", 443, timeout=0.2)
    assert names.questions == 1
    assert connected == ["151.101.1.1"]


def test_a_name_that_leads_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names([["10.0.0.7"]]).getaddrinfo)
    with pytest.raises(RefusedAddress, match=r"shop\.example is 10\.0\.0\.7"):
        CheckedConnections().connect_tcp("shop.example", 443)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl writes the certificate")
def test_a_certificate_has_to_be_the_hosts_and_not_the_addresss(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "localhost.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-keyout", pem, "-out", tmp_path / "cert.pem", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    pem.write_bytes(pem.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    with picture_server(pem) as safe:
        safe.replies = {"/mug.png": Reply(RED)}
        shop.rules = allowing(safe)
        shop.sell(safe.url("/mug.png", "localhost"), safe.url("/mug.png", "127.0.0.1"))
        unknown = shop.read()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        known = shop.read(again_after=timedelta(0))
    assert all("CERTIFICATE_VERIFY_FAILED" in each for each in unreachable_messages(unknown))
    assert [bool(product.photographs) for product in known.products] == [True, False]


# --- politeness


def test_a_host_gets_few_requests_at_once_and_all_hosts_together_not_many(
    shop: Shop, server: PictureServer
) -> None:
    pictures = {f"/{n}.png": Reply(RED, after_s=0.05) for n in range(24)}
    with picture_server() as other:
        server.replies = other.replies = pictures
        shop.rules = allowing(server, other)
        shop.sell(*[other.url(path, "localhost") for path in pictures], *map(server.url, pictures))
        reading = shop.read()
        assert 2 <= server.most_at_once <= 4
        assert 2 <= other.most_at_once <= 4
    assert all(product.photographs for product in reading.products)
    server.most_at_once = 0
    shop.sell(*map(server.url, pictures))
    shop.read(together=2, again_after=timedelta(0))
    assert server.most_at_once == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_asks_for_it_is_left_alone_for_so_long(
    shop: Shop, server: PictureServer, status: int
) -> None:
    busy = Reply(status=status, headers={"Retry-After": "1"})
    server.replies = {"/0.png": [busy, Reply(RED)], **{f"/{n}.png": Reply(RED) for n in range(1, 6)}}
    shop.sell(*[server.url(f"/{n}.png") for n in range(6)])
    reading = shop.read(together_by_host=1)
    assert reading.findings == []
    first, then = server.asked[:2]
    assert then.at - first.at >= 0.95
    assert server.paths[:2] == ["/0.png", "/0.png"]


def test_a_host_that_has_too_much_to_do_gets_less(shop: Shop, server: PictureServer) -> None:
    busy = Reply(status=429, after_s=0.3)
    server.replies = {f"/{n}.png": [busy, Reply(RED, after_s=0.1)] for n in range(4)}
    shop.sell(*[server.url(f"/{n}.png") for n in range(4)])
    assert shop.read().findings == []
    assert server.most_at_once == 4
    answered = sorted(each.at for each in server.asked)[4:]
    assert all(later - earlier > 0.05 for earlier, later in itertools.pairwise(answered))


def test_a_host_that_asks_to_be_left_alone_for_an_hour_is_left_alone_for_the_run(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {
        f"/{n}.png": Reply(status=429, headers={"Retry-After": "3600"}, after_s=0.05) for n in range(30)
    }
    shop.sell(*[server.url(f"/{n}.png") for n in range(30)])
    messages = unreachable_messages(shop.read())
    assert len(messages) == 30
    assert all("asks to be left alone for 3600 s: run again later" in each for each in messages)
    assert len(server.asked) <= 4


def test_what_fails_for_a_moment_is_asked_for_again(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": [Reply(status=502), Reply(status=500), Reply(RED)]}
    shop.sell(server.url("/mug.png"))
    assert photograph(shop.read()).sha256 == sha256_of(RED)


def test_what_goes_on_failing_is_given_up_after_three_times_and_the_others_come(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {"/bad.png": Reply(status=500), "/mug.png": Reply(RED)}
    shop.sell(server.url("/bad.png"), server.url("/mug.png"))
    reading = shop.read()
    assert server.paths.count("/bad.png") == 3
    assert unreachable_messages(reading) == [
        f"{server.url('/bad.png')}: 127.0.0.1 answered 500 Internal Server Error"
    ]
    assert reading.products[1].photographs


def test_a_date_says_how_long_as_well() -> None:
    at = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert retry_after(at, NOW) == 90
    assert retry_after(format_datetime(NOW - timedelta(1), usegmt=True), NOW) == 0
    assert retry_after("7", NOW) == 7
    assert retry_after("soon", NOW) is None
    assert retry_after(None, NOW) is None


def test_it_is_told_how_far_the_fetching_is(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": Reply(RED)}
    shop.sell(server.url("/mug.png"), server.url("/gone.png"))
    shop.read()
    assert shop.lines[0] == "photographs: 2 to ask for at 1 hosts"
    assert shop.lines[-1] == "photographs: 2 of 2 asked for, 0.0 MB fetched, 1 failed"


# --- asked for again


def test_what_was_fetched_is_not_asked_for_again_on_the_same_day(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": Reply(RED)}
    shop.sell(server.url("/mug.png"))
    first, second = shop.read(), shop.read()
    assert first.products == second.products
    assert server.paths == ["/mug.png"]


def test_afterwards_only_changed_bytes_are_sent(shop: Shop, server: PictureServer) -> None:
    notes = {"ETag": '"1"', "Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT"}
    server.replies = {"/mug.png": Reply(RED, headers=notes)}
    shop.sell(server.url("/mug.png"))
    first = shop.read()
    (known,) = load_remote_photographs(shop.store)
    second = shop.read(again_after=timedelta(0))
    (checked,) = load_remote_photographs(shop.store)
    question = server.asked[1]
    assert (question.headers["If-None-Match"], question.headers["If-Modified-Since"]) == tuple(notes.values())
    assert server.sent == len(RED)
    assert first.products == second.products
    assert checked == known.model_copy(update={"checked_at": checked.checked_at})
    assert checked.checked_at > known.checked_at


def test_changed_bytes_replace_the_ones_before(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": [Reply(RED, headers={"ETag": "1"}), Reply(BLUE, headers={"ETag": "2"})]}
    shop.sell(server.url("/mug.png"))
    shop.read()
    assert photograph(shop.read(again_after=timedelta(0))).sha256 == sha256_of(BLUE)
    assert shop.store.images.get(sha256_of(RED)) == RED


def test_behind_a_redirect_it_is_the_last_server_that_is_asked_for_changes(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {
        "/a": Reply(status=302, headers={"Location": "/b"}),
        "/b": Reply(RED, headers={"ETag": "1"}),
    }
    shop.sell(server.url("/a"))
    shop.read()
    shop.read(again_after=timedelta(0))
    assert [each.headers.get("If-None-Match") for each in server.asked] == [None, None, None, "1"]
    assert server.sent == len(RED)


def test_bytes_that_the_store_lost_are_fetched_whole(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": Reply(RED, headers={"ETag": "1"})}
    shop.sell(server.url("/mug.png"))
    shop.read()
    shop.store.files.remove(shop.store.images.path(sha256_of(RED)) or "")
    shop.read(again_after=timedelta(0))
    assert shop.store.images.get(sha256_of(RED)) == RED


def test_a_failed_fetch_keeps_the_older_copy_and_says_so(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": [Reply(RED, headers={"ETag": "1"}), Reply(status=404), Reply(BLUE)]}
    shop.sell(server.url("/mug.png"))
    first = shop.read()
    again = shop.read(again_after=timedelta(0))
    assert again.products == first.products
    found = finding(again, "photograph_not_renewed")
    assert (found.sku, found.level) == ("M1", "warning")
    assert "answered 404" in found.message
    assert f"the copy of {datetime.now(UTC):%Y-%m-%d} is used" in found.message
    assert codes(shop.look()) == {"photograph_not_renewed": 1}
    healed = shop.read(again_after=timedelta(0))
    assert photograph(healed).sha256 == sha256_of(BLUE)
    assert healed.findings == []


def test_what_failed_is_asked_for_again_a_while_later_and_not_at_once(
    shop: Shop, server: PictureServer
) -> None:
    shop.sell(server.url("/gone.png"))
    shop.read()
    assert "404" in unreachable(shop.read())
    assert len(server.asked) == 1
    (known,) = load_remote_photographs(shop.store)
    assert not is_due(known, shop.rules, known.checked_at + timedelta(minutes=9))
    assert is_due(known, shop.rules, known.checked_at + timedelta(minutes=11))


def test_what_the_project_refused_is_looked_at_again_as_soon_as_it_is_allowed(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {"/mug.png": Reply(RED)}
    shop.sell(server.url("/mug.png"))
    unreachable(shop.read(private_hosts=frozenset()))
    unreachable(shop.read(private_hosts=frozenset()))
    assert len(shop.store.facts.materialisations(REMOTE_PHOTOGRAPHS, WHOLE)) == 1
    assert photograph(shop.read()).sha256 == sha256_of(RED)


def test_what_was_had_is_recorded_with_where_and_when_it_came_from(shop: Shop, server: PictureServer) -> None:
    server.replies = {
        "/a.png": Reply(status=302, headers={"Location": "/b.png?token=geheim"}),
        "/b.png": Reply(RED, headers={"ETag": '"7"'}),
    }
    shop.sell(server.url("/a.png?w=1"))
    shop.read()
    (known,) = load_remote_photographs(shop.store)
    assert known.url == server.url("/a.png") + "?…"
    assert known.final_url == server.url("/b.png") + "?…"
    assert (known.etag, known.sha256, known.media_type) == ('"7"', sha256_of(RED), "image/png")
    assert (known.width, known.height, known.size) == (8, 6, len(RED))
    assert known.fetched_at == known.checked_at
    assert datetime.now(UTC) - known.checked_at < timedelta(minutes=1)


def test_a_url_that_no_feed_names_any_more_is_forgotten_after_a_while(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {"/mug.png": Reply(RED), "/cup.png": Reply(BLUE)}
    shop.sell(server.url("/mug.png"), server.url("/cup.png"))
    shop.read()
    mug = next(each for each in load_remote_photographs(shop.store) if each.url.endswith("mug.png"))
    record_remote_photographs(shop.store, [mug], run_id="r")
    assert len(load_remote_photographs(shop.store)) == 2
    record_remote_photographs(shop.store, [mug], run_id="r", now=datetime.now(UTC) + FORGOTTEN_AFTER)
    assert load_remote_photographs(shop.store) == [mug]


def test_two_runs_at_once_keep_what_the_other_learned(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": Reply(RED), "/cup.png": Reply(BLUE)}
    shop.sell(server.url("/mug.png"), server.url("/cup.png"))
    shop.read()
    mug, cup = load_remote_photographs(shop.store)
    later = mug.model_copy(update={"checked_at": mug.checked_at + timedelta(hours=1)})
    record_remote_photographs(shop.store, [later], run_id="one")
    record_remote_photographs(shop.store, [mug, cup], run_id="other")
    assert load_remote_photographs(shop.store) == [later, cup]


KILLED = """
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import load_remote_photographs, record_remote_photographs
from asset_pipeline.catalog.remote.fetching import Fetcher
from asset_pipeline.catalog.remote.photograph import FetchRules
from asset_pipeline.store.images import Images
from asset_pipeline.store.store import Store

folder, root, port = sys.argv[1:]
store = Store(root)
rules = FetchRules(
    private_hosts=frozenset({("127.0.0.1", int(port))}), together=2, record_every=timedelta(seconds=0.2)
)
fetcher = Fetcher(
    rules, store.images, load_remote_photographs(store),
    partial(record_remote_photographs, store, run_id="killed"),
)
read_catalog(Path(folder), store.images, remote=fetcher)
"""


def test_a_killed_run_does_not_fetch_again_what_it_had_recorded(
    shop: Shop, server: PictureServer, tmp_path: Path
) -> None:
    pictures = {f"/{n:02}.png": Reply(picture(size=(8 + n, 6)), after_s=0.05) for n in range(60)}
    server.replies = dict(pictures)
    shop.sell(*map(server.url, pictures))
    arguments = [str(shop.folder), str(tmp_path / "store"), str(server.port)]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    try:
        deadline = time.monotonic() + 60
        while len(server.asked) < 30 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    recorded = len(load_remote_photographs(shop.store))
    before = len(server.asked)
    assert 10 <= recorded < 60
    reading = shop.read()
    assert len(server.asked) - before == 60 - recorded
    assert all(product.photographs for product in reading.products)


class FullDisk(Images):
    """A disk with room for so many pictures."""

    room = 5

    def put(self, data: bytes, suffix: str) -> str:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "no space left")
        return super().put(data, suffix)


def test_a_run_that_fails_records_what_it_had(shop: Shop, server: PictureServer) -> None:
    server.replies = {f"/{n:02}.png": Reply(RED, after_s=0.02) for n in range(30)}
    shop.sell(*map(server.url, server.replies))
    rules = replace(shop.rules, record_every=timedelta(hours=1))
    record = partial(record_remote_photographs, shop.store, run_id="r")
    fetcher = Fetcher(rules, FullDisk(shop.store.files), [], record)
    with pytest.raises(OSError, match="no space left"):
        read_catalog(shop.folder, shop.store.images, remote=fetcher)
    assert 1 <= len(load_remote_photographs(shop.store)) <= 5
    assert len(server.asked) < 30


def test_what_was_had_is_recorded_once_where_it_comes_quickly(shop: Shop, server: PictureServer) -> None:
    server.replies = {f"/{n}.png": Reply(RED) for n in range(9)}
    shop.sell(*map(server.url, server.replies))
    shop.read(record_every=timedelta(hours=1))
    assert len(shop.store.facts.materialisations(REMOTE_PHOTOGRAPHS, WHOLE)) == 1
    shop.read()
    assert len(server.asked) == 9


# --- secrets


def test_no_secret_of_a_url_is_shown_recorded_or_told(shop: Shop, server: PictureServer) -> None:
    server.replies = {
        "/mug.png": Reply(RED),
        "/moved": Reply(status=302, headers={"Location": "http://u:geheim@127.0.0.1:1/x?sig=geheim"}),
    }
    place = f"anna:geheim@127.0.0.1:{server.port}"
    shop.sell(
        f"http://{place}/mug.png?token=geheim#geheim",
        f"http://{place}/gone.png?token=geheim",
        f"http://{place}/moved?token=geheim",
        "http://anna:geheim@nobody.invalid/x.png?token=geheim",
        "http://anna:geheim@10.0.0.1:x/x.png?token=geheim",
        "ftp://anna:geheim@example.com/x.png?token=geheim",
    )
    reading = shop.read()
    record_catalog(shop.store, reading, run_id="r")
    rows = [*reading.products, *reading.findings, *load_remote_photographs(shop.store)]
    told = json.dumps([row.model_dump(mode="json") for row in rows]) + "".join(shop.lines)
    assert "geheim" not in told
    assert "anna" not in told
    assert len(unreachable_messages(reading)) == 4
    assert reading.products[0].photographs[0].reference == server.url("/mug.png") + "?…"
    assert "geheim" not in str(shop.look().findings)


def test_user_and_password_go_to_the_host_they_are_for_and_to_no_other(
    shop: Shop, server: PictureServer
) -> None:
    with picture_server() as other:
        other.replies = {"/mug.png": Reply(RED)}
        server.replies = {"/mug.png": Reply(status=302, headers={"Location": other.url("/mug.png")})}
        shop.rules = allowing(server, other)
        shop.sell(f"http://anna:ge%20heim@127.0.0.1:{server.port}/mug.png")
        assert photograph(shop.read()).sha256 == sha256_of(RED)
        expected = base64.b64encode(b"anna:ge heim").decode()
        assert server.asked[0].headers["Authorization"] == f"Basic {expected}"
        assert "Authorization" not in other.asked[0].headers


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://cdn.example/mug@2x.png", "https://cdn.example/mug@2x.png"),
        ("https://a:b@cdn.example:8443/mug.png?X-Sig=1&v=2#x", "https://cdn.example:8443/mug.png?…"),
        ("//a@cdn.example/mug.png#x", "//cdn.example/mug.png"),
        ("https://cdn.example/" + "x" * 300, "https://cdn.example/" + "x" * 180),
    ],
)
def test_a_url_is_shown_without_what_nobody_should_see(url: str, shown: str) -> None:
    assert shown_url(url) == shown


# --- nobody is asked


def test_without_a_materialisation_nothing_is_fetched_and_the_finding_says_when_it_is(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {"/mug.png": Reply(RED)}
    shop.sell(server.url("/mug.png"), f"//127.0.0.1:{server.port}/mug.png")
    reading = shop.look()
    assert server.asked == []
    assert {(each.level, each.code) for each in reading.findings} == {("note", "photograph_not_fetched")}
    assert all("is fetched when the catalog is materialised" in each.message for each in reading.findings)
    shop.sell(server.url("/mug.png"))
    fetched = shop.read()
    assert shop.look().products == fetched.products
    assert server.paths == ["/mug.png"]


@pytest.mark.parametrize("command", [cli.hygiene, cli.plan])
def test_commands_that_look_ask_nobody(
    tmp_path: Path, server: PictureServer, monkeypatch: pytest.MonkeyPatch, command: click.Command
) -> None:
    write(tmp_path / "catalog", a__csv=f"sku,name,photographs\nM1,Mug,{server.url('/mug.png')}\n")
    write(tmp_path, thresholds__yaml="default: {file_check: {min: 1}}\n")
    for module in (cli, terminal):
        monkeypatch.setattr(module, "PLACES", Places.of({"ASSET_PIPELINE_DATA": str(tmp_path)}))
    result = CliRunner().invoke(command, catch_exceptions=False)
    assert server.asked == []
    assert "photograph_not_fetched" in result.output or "1 photographs are not fetched yet" in result.output


def test_offline_nothing_is_asked_and_copies_are_used(shop: Shop, server: PictureServer) -> None:
    server.replies = {"/mug.png": Reply(RED), "/cup.png": Reply(BLUE)}
    shop.sell(server.url("/mug.png"))
    shop.read()
    shop.sell(server.url("/mug.png"), server.url("/cup.png"))
    reading = shop.read(is_offline=True, again_after=timedelta(0))
    assert server.paths == ["/mug.png"]
    assert [bool(product.photographs) for product in reading.products] == [True, False]
    assert unreachable_messages(reading) == [
        f"{server.url('/cup.png')}: not asked: ASSET_PIPELINE_OFFLINE is set"
    ]
    assert all(product.photographs for product in shop.read().products)


def test_the_environment_says_how_to_fetch() -> None:
    assert FetchRules.of({}) == FetchRules()
    rules = FetchRules.of(
        {
            "ASSET_PIPELINE_OFFLINE": "1",
            "ASSET_PIPELINE_FETCH_AGAIN_HOURS": "0.5",
            "ASSET_PIPELINE_FETCH_PRIVATE": "Images.internal:8080, [::1]:80,",
        }
    )
    assert rules.is_offline
    assert rules.again_after == timedelta(minutes=30)
    assert rules.private_hosts == {("images.internal", 8080), ("::1", 80)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("ASSET_PIPELINE_FETCH_AGAIN_HOURS", value) for value in ("soon", "-1", "nan", "inf", "1e99")),
        *(("ASSET_PIPELINE_FETCH_PRIVATE", value) for value in ("localhost", ":80", "localhost:http")),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidFile, match=name):
        FetchRules.of({name: value})


def test_materialising_the_catalog_fetches_once_and_then_has_nothing_to_do(
    shop: Shop, server: PictureServer
) -> None:
    server.replies = {"/mug.png": Reply(RED)}
    shop.sell(server.url("/mug.png"))
    resources = {"store": shop.store, "data": shop.folder.parent, "fetch_rules": shop.rules}
    first, second = (dg.materialize([catalog], resources=resources) for _ in range(2))
    metadata = [each.asset_materializations_for_node("catalog")[0].metadata for each in (first, second)]
    assert [each["photographs"].value for each in metadata] == [1, 1]
    assert str(metadata[1]["written"].value).startswith("nothing")
    assert server.paths == ["/mug.png"]
    assert len(shop.store.facts.read(PRODUCTS, WHOLE)[0].photographs) == 1
