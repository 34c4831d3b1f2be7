"""`feed` against documents of every kind, hostile ones too, with the service's place taken by a test's."""

import json
import unittest

from action_protocol import testing
from action_protocol.testing import Response, Service
from feed.protocol import Feed
from feed.wanted import LOOKED_AT_MAX

URL = "https://example.com/feed"
CONFIG = {"url": URL}

RSS = """<?xml version="1.0" encoding="iso-8859-1"?><!DOCTYPE rss SYSTEM "http://example.com/rss.dtd">
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>Caf\u00e9&nbsp;News</title><link>/</link><description>d</description>
<item><title>One &amp; only</title><guid>https://example.com/1</guid><pubDate>Mon, 23 Nov 2026 06:08:00 +0100</pubDate>
<dc:creator>Ada</dc:creator><category>a</category><category>a</category><category>b</category>
<content:encoded><![CDATA[<p>Hi</p>]]></content:encoded><enclosure url="/1.mp3" type="audio/mpeg" length="1024"/></item>
<item><title>No id</title><description>text</description><pubDate>nonsense</pubDate></item>
</channel></rss>""".encode("latin-1")

ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://example.org/blog/"><title type="html">A &lt;b&gt;</title>
<updated>2026-11-23T05:08:00Z</updated><link rel="self" href="feed"/><link href="index.html"/>
<entry><id>tag:1</id><title>T</title><link href="1"/><updated>2026-11-23T06:08:00+01:00</updated><author><name>Bo</name></author>
<category term="x"/><link rel="enclosure" href="f.bin" length="3"/>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p class="q">1 &lt; 2</p></div></content></entry></feed>"""

RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="u"><title>R</title></channel>
<item rdf:about="https://example.com/r1"><title>r1</title><link>https://example.com/r1</link><dc:date>2026-11-23</dc:date></item></rdf:RDF>"""

JSON = json.dumps({
    "version": "https://jsonfeed.org/version/1.1", "title": "J", "home_page_url": "https://example.com/",
    "items": [{"id": 7, "content_html": "<p>x</p>", "tags": ["t"], "authors": [{"name": "Cy"}], "date_published": "2026-11-23T05:08:00Z",
               "attachments": [{"url": "a.png", "mime_type": "image/png", "size_in_bytes": 9}]}],
}).encode()

BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><rss><channel><title>&c;</title></channel></rss>"""
OUTSIDE = b"""<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><channel><title>&x;</title></channel></rss>"""


def run(body: bytes, headers: list | None = None, config: dict = CONFIG, status: int = 200):
    with Service(lambda _: Response(status, headers or [], body)):
        return testing.execute(Feed, config)


def output(body: bytes, headers: list | None = None, config: dict = CONFIG) -> dict:
    outcome = run(body, headers, config)
    return json.loads(outcome.output.data)


class Documents(unittest.TestCase):
    def test_rss_with_its_oddities(self):
        got = output(RSS)
        self.assertEqual((got["format"], got["feed"]["title"], got["feed"]["url"]), ("rss", "Caf\u00e9\u00a0News", "https://example.com/"))
        one, two = got["entries"]
        self.assertEqual((one["id"], one["url"], one["title"]), ("https://example.com/1", "https://example.com/1", "One & only"))
        self.assertEqual((one["published"], one["content"], one["authors"]), ("2026-11-23T05:08:00Z", "<p>Hi</p>", ["Ada"]))
        self.assertEqual(one["categories"], ["a", "b"])
        self.assertEqual(one["enclosures"], [{"url": "https://example.com/1.mp3", "type": "audio/mpeg", "bytes": 1024}])
        self.assertTrue(two["id"].startswith("sha256:"))
        self.assertIsNone(two["published"])

    def test_atom_with_bases_and_markup(self):
        got = output(ATOM)
        self.assertEqual((got["format"], got["feed"]["url"]), ("atom", "https://example.org/blog/index.html"))
        [entry] = got["entries"]
        self.assertEqual((entry["id"], entry["url"]), ("tag:1", "https://example.org/blog/1"))
        self.assertEqual(entry["content"], '<p class="q">1 &lt; 2</p>')
        self.assertEqual(entry["updated"], "2026-11-23T05:08:00Z")
        self.assertEqual(entry["enclosures"][0]["url"], "https://example.org/blog/f.bin")

    def test_rdf_and_json(self):
        got = output(RDF)
        self.assertEqual((got["format"], got["entries"][0]["id"]), ("rdf", "https://example.com/r1"))
        self.assertEqual(got["entries"][0]["published"], "2026-11-23T00:00:00Z")
        got = output(JSON)
        self.assertEqual((got["format"], got["entries"][0]["id"], got["entries"][0]["authors"]), ("json", "7", ["Cy"]))
        self.assertEqual(got["entries"][0]["enclosures"][0], {"url": "https://example.com/a.png", "type": "image/png", "bytes": 9})

    def test_the_servers_charset_goes_before_the_documents(self):
        body = '<rss><channel><title>\u0416</title></channel></rss>'.encode("koi8-r")
        self.assertEqual(output(body, [("Content-Type", "text/xml; charset=koi8-r")])["feed"]["title"], "\u0416")

    def test_bounds(self):
        text = "\u00e4" * 10
        items = "".join(f"<item><guid>{n}</guid><description>{text}</description></item>" for n in range(5))
        body = f"<rss><channel>{items}</channel></rss>".encode()
        got = output(body, config={**CONFIG, "max_entries": 2, "max_content_bytes": 5})
        self.assertEqual((len(got["entries"]), got["left_out"]), (2, 3))
        self.assertEqual((got["entries"][0]["summary"], got["entries"][0]["content_cut"]), ("\u00e4\u00e4", True))


    def test_an_odd_entry_does_not_stop_the_others(self):
        long = "x" * 513
        items = f'{{"id": "{long}"}}, {{"id": 1e999, "url": "/u"}}, {{"id": "\\ud800", "title": "\\udc00"}}, {{"id": "last"}}'
        body = f'{{"version": "https://jsonfeed.org/version/1.1", "items": [{items}]}}'.encode()
        with Service(lambda _: Response(200, [], body)) as service:
            got = json.loads(testing.execute(Feed, CONFIG).output.data)
        self.assertEqual([entry["id"] for entry in got["entries"]], [long, "https://example.com/u", "\ufffd", "last"])
        keys = [item.key for item in service.items]
        self.assertEqual((len(keys), keys[1:]), (4, ["https://example.com/u", "\ufffd", "last"]))
        self.assertTrue(keys[0].startswith("sha256:"))


class Hostile(unittest.TestCase):
    def test_what_is_no_feed_is_a_bad_response(self):
        deep = b"<rss>" + b"<a>" * 1000 + b"</a>" * 1000 + b"</rss>"
        for body in [b"", b"<html/>", b"<rss><channel>", b"{}", b'{"version": 1}', b"\x00\xff", BOMB, OUTSIDE, deep, b"[" * 100_000, b'{"version": NaN}',
                     b'{"a":' * 100_000, b'<?xml version="1.0" encoding="x-none"?><rss/>']:
            failure = run(body)
            self.assertEqual(failure.kind.name, "BAD_RESPONSE", (body[:40], failure))

    def test_entities_are_refused_before_they_are_expanded(self):
        self.assertIn("declares an entity (a)", run(BOMB).message)
        self.assertIn("declares an entity (x)", run(OUTSIDE).message)

    def test_statuses(self):
        for status, kind in [(401, "UNAUTHENTICATED"), (404, "REJECTED"), (429, "RATE_LIMITED"), (500, "UNAVAILABLE")]:
            failure = run(b"", [("Retry-After", "7")], status=status)
            self.assertEqual(failure.kind.name, kind)
        self.assertEqual(failure.advice.value, 7_000)


class Standing(unittest.TestCase):
    def test_what_was_captured_is_not_captured_again_and_nothing_new_costs_nothing(self):
        def answer(request):
            sent = {header.name: header.value for header in request.headers}
            return Response(304) if sent.get("If-None-Match") == b'"1"' else Response(200, [("ETag", '"1"')], ATOM)

        with Service(answer) as service:
            first = json.loads(testing.execute(Feed, CONFIG).output.data)
            again = json.loads(testing.execute(Feed, CONFIG).output.data)
            self.assertEqual((first["status"], again["status"], again["entries"]), ("read", "not_modified", []))
            self.assertEqual([item.key for item in service.items], ["tag:1"])
            # Another feed has another standing.
            other = json.loads(testing.execute(Feed, {"url": URL + "/other"}).output.data)
            self.assertEqual(other["status"], "read")

    def test_what_was_left_out_is_read_the_next_time(self):
        def rss(names):
            return f"<rss><channel>{''.join(f'<item><guid>{name}</guid></item>' for name in names)}</channel></rss>".encode()

        def as_json(names):
            return json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [{"id": name} for name in names]}).encode()

        def atom(names):
            entries = "".join(f"<a:entry><a:id>{name}</a:id></a:entry>" for name in names)
            return f'<a:feed xmlns:a="http://www.w3.org/2005/Atom">{entries}</a:feed>'.encode()

        for document in (rss, as_json, atom):
            names, asked = list("abcdefg"), []

            def answer(request, document=document, names=names, asked=asked):
                known = any(header.name == "If-None-Match" for header in request.headers)
                asked.append(known)
                return Response(304) if known else Response(200, [("ETag", '"1"')], document(names))

            with Service(answer) as service:
                def read(service=service):
                    got = json.loads(testing.execute(Feed, {**CONFIG, "max_entries": 3}).output.data)
                    return "".join(entry["id"] for entry in got["entries"]), got.get("left_out")

                self.assertEqual(read(), ("abc", 4))
                # What is new comes first, and nothing is lost for it.
                names.insert(0, "N")
                self.assertEqual([read(), read()], [("Nde", 2), ("fg", 0)])
                self.assertEqual((read(), asked), (("", None), [False, False, False, True]))
                # A document that changed is not read from its beginning again.
                names.insert(0, "M")
                asked.clear()
                service.answer = lambda request: Response(200, [("ETag", '"2"')], document(names))
                self.assertEqual(read(), ("M", 0))
            self.assertEqual([item.key for item in service.items], list("abcNdefgM"))

    def test_a_feed_without_end_is_read_as_far_as_an_execution_comes(self):
        items = "".join(f"<item><guid>{n}</guid></item>" for n in range(LOOKED_AT_MAX + 10))
        body = f"<rss><channel>{items}</channel></rss>".encode()
        with Service(lambda _: Response(200, [("ETag", '"1"')], body)) as service:
            config = {**CONFIG, "max_entries": LOOKED_AT_MAX - 100}
            left_out = [json.loads(testing.execute(Feed, config).output.data)["left_out"] for _ in range(2)]
            self.assertEqual((left_out, len(service.items)), ([110, 10], LOOKED_AT_MAX))
            self.assertIn("behind the first 1000", service.logs[-1])
            self.assertEqual(json.loads(service.state["feed"])["etag"], '"1"')

    def test_without_room_for_items_the_entries_are_in_the_output(self):
        with Service(lambda _: Response(200, [], ATOM), captures=False) as service:
            got = json.loads(testing.execute(Feed, CONFIG).output.data)
        self.assertEqual((got["captured"], len(got["entries"]), service.items), (False, 1, []))

    def test_credentials_stay_with_their_origin(self):
        def answer(request):
            if "example.com" in request.url:
                return Response(301, [("Location", "https://example.net/x")])
            return Response(200, [], ATOM)

        config = {**CONFIG, "authorization": "Bearer sec_0", "redirect_urls": ["https://example.net/"]}
        with Service(answer) as service:
            testing.execute(Feed, config)
        sent = [[header.name for header in request.headers] for request in service.requests]
        self.assertIn("Authorization", sent[0])
        self.assertNotIn("Authorization", sent[1])


class Describing(unittest.TestCase):
    def test_the_schema_says_what_may_be_reached_and_what_is_secret(self):
        schema = json.loads(testing.export(Feed)().describe().config_schema)
        self.assertEqual(schema["properties"]["url"]["x-egress"], "http")
        self.assertTrue(schema["properties"]["authorization"]["writeOnly"])
        self.assertEqual(schema["required"], ["url"])

    def test_everything_wrong_is_said(self):
        issues = testing.validate(Feed, {"url": "ftp://x", "redirect_urls": ["y"]})
        self.assertEqual([issue.pointer for issue in issues], ["/url", "/redirect_urls/0"])
        issues = testing.validate(Feed, {"max_entries": 0, "colour": 1})
        self.assertEqual(sorted(issue.pointer for issue in issues), ["/colour", "/max_entries", "/url"])

    def test_a_test_says_what_is_there(self):
        with Service(lambda _: Response(200, [], ATOM)):
            report = testing.test_connection(Feed, CONFIG)
        self.assertIn("atom feed", report.summary)
        self.assertEqual(json.loads(report.details)["entries"], 1)


if __name__ == "__main__":
    unittest.main()
